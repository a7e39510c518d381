"""The device-to-host door: the only file that reads a tensor's value.

Every read waits for the device, so each step goes through here once, with everything it wants in one packed vector.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._foreach import dense_values


def read_vector(parts: Sequence[tuple[Sequence[int], Tensor]], width: int, fill: float) -> np.ndarray:
    """Read per-tensor values into one vector.

    Args:
        parts: pairs of places and a device vector of as many values.
        width: length of the result.
        fill: what stands where no part has a value.

    Returns:
        A float64 vector of length `width`.

    Example:
        >>> read_vector([([1], torch.tensor([5.0]))], 3, -1.0)
        array([-1.,  5., -1.])
    """
    return read_step(parts, width, fill, [])[0]


def read_step(
    parts: Sequence[tuple[Sequence[int], Tensor]], width: int, fill: float, scalars: Sequence[Tensor]
) -> tuple[np.ndarray, list[float]]:
    """Read a vector as `read_vector` does, and some single numbers with it, in one transfer a device.

    Args:
        parts: pairs of places and a device vector of as many values.
        width: length of the vector.
        fill: what stands where no part has a value.
        scalars: one-element tensors of any dtype and device.

    Returns:
        The vector, and the numbers in order.

    Example:
        >>> read_step([([0], torch.tensor([5.0]))], 1, -1.0, [torch.tensor(2.0)])
        (array([5.]), [2.0])
    """
    numbers = [0.0] * len(scalars)
    if len(parts) == 1 and len(parts[0][0]) == width and parts[0][1].is_cpu:  # by far most steps, and all of it is here
        result, parts = parts[0][1].numpy().astype(np.float64), ()
    else:
        result = np.full(width, fill)
    packs: dict[torch.device, list[tuple[np.ndarray | list[float], Sequence[int], Tensor]]] = {}
    for places, values in parts:
        if values.is_cpu:  # nothing to wait for: no packing
            result[places if len(places) != width else slice(None)] = values.numpy()
        else:
            packs.setdefault(values.device, []).append((result, places, values))
    for place, scalar in enumerate(scalars):
        if scalar.is_cpu:
            numbers[place] = float(scalar)
        else:
            packs.setdefault(scalar.device, []).append((numbers, [place], scalar.detach().reshape(1)))
    for pack in packs.values():
        read = torch.cat([values.to(torch.float32) for _, _, values in pack]).cpu().numpy()
        start = 0
        for target, places, _ in pack:
            for place in places:
                target[place] = float(read[start])
                start += 1
    return result, numbers


def read_tensor_scalar(value: Any) -> float | None:
    """A number that may live in a one-element tensor, such as a capturable learning rate; None for anything else."""
    if isinstance(value, Tensor):
        return float(value.detach()) if value.numel() == 1 else None
    return float(value) if isinstance(value, (int, float)) else None


def read_array(tensor: Tensor) -> np.ndarray:
    """A whole tensor on the host, for what is kept of a batch. bfloat16, which numpy does not know, becomes float32."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).cpu().contiguous().numpy()


def peek(tensor: Tensor) -> list[float] | None:
    """The values of a tensor where reading them costs no waiting; None elsewhere, for the device to decide.

    Free to read is a plain tensor on the CPU, outside `torch.compile` and `FakeTensorMode`.

    Example:
        >>> peek(torch.tensor([1.0, 2.0]))
        [1.0, 2.0]
    """
    if not _free_to_read(tensor):
        return None
    values = tensor.tolist()
    return values if isinstance(values, list) else [values]


def _free_to_read(tensor: Tensor) -> bool:
    return not torch.compiler.is_compiling() and tensor.is_cpu and type(tensor) is Tensor


class Mailbox:
    """Numbers of a device that arrive when the device gets there; nobody waits for them.

    A CPU's arrive at once. An accelerator's are copied into pinned memory behind the work that makes them, and are
    there a step or two later. What has no values (`FakeTensorMode`, `torch.compile`) never arrives.

    Example:
        >>> mailbox = Mailbox()
        >>> mailbox.post(torch.tensor([1.0, 2.0]))
        >>> mailbox.collect()
        [[1.0, 2.0]]
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Tensor, Any]] = deque()

    def post(self, values: Tensor) -> None:
        """Send a vector."""
        if _free_to_read(values):
            self._waiting.append((values.clone(), None))
        elif values.is_cuda and type(values) is Tensor and not torch.compiler.is_compiling():
            copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            copy.copy_(values, non_blocking=True)
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(values.device))
            self._waiting.append((copy, event))

    def collect(self) -> list[list[float]]:
        """Everything that has arrived, in the order of posting."""
        arrived = []
        while self._waiting and (self._waiting[0][1] is None or self._waiting[0][1].query()):
            arrived.append(self._waiting.popleft()[0].reshape(-1).tolist())
        return arrived


def any_nonfinite(tensors: Sequence[Tensor]) -> bool:
    """Whether any element of any of the tensors is NaN or infinite. Not for the hot path."""
    return any(not bool(torch.isfinite(dense_values(tensor.detach())).all()) for tensor in tensors if tensor.numel())


def any_nan(tensors: Sequence[Tensor]) -> bool:
    """Whether any element of any of the tensors is NaN. Not for the hot path."""
    return any(bool(torch.isnan(dense_values(tensor.detach())).any()) for tensor in tensors if tensor.numel())


def all_true(values: Tensor) -> bool:
    """Whether every element of a tensor of truth values is true. Not for the hot path."""
    return bool(values.all())


def any_positive_infinity(tensors: Sequence[Tensor]) -> bool:
    """Whether any element of any of the tensors is +inf. Not for the hot path."""
    return any(bool(torch.isposinf(dense_values(tensor.detach())).any()) for tensor in tensors if tensor.numel())


def global_norm(norms: np.ndarray) -> float:
    """The root of the sum of squares of the non-negative entries, without overflow; NaN if any is NaN.

    >>> global_norm(np.array([3.0, 4.0, -1.0]))
    5.0
    """
    squares = float(np.dot(norms, norms))
    if 1e-200 < squares < 1e200 and not (norms < 0).any():
        return math.sqrt(squares)
    present = norms[~(norms < 0)]
    if not len(present):
        return 0.0
    largest = float(present.max())
    if not math.isfinite(largest) or largest == 0.0:
        return largest
    scaled = present / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))
