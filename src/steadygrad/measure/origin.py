"""Where a number that is not finite comes from: the first operation that makes one of finite ones."""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils._python_dispatch import TorchDispatchMode

from .._readback import any_nan, any_nonfinite, any_positive_infinity, read_tensor_scalar
from ..evidence import Origin
from .forward_trace import UNSEEN, tensors_of
from .overrides import MASKING, OpeningMode
from .source_line import source_line

MASK = -1e30
"""What is below is a mask: -inf, or the lowest number of a type."""

SAMPLES = 8
"""Samples that are named."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a function ran: in which module ("" outside of all), behind the model, on which line."""

    where: str
    behind: bool
    line: tuple[str, int] | None
    largest_input: Tensor | None


class OriginTrace(OpeningMode):
    """Looks at every operation of one forward and backward pass. Slow: for a pass that is known to go wrong.

    Forward, each function of torch is looked at, and the first that makes what is not finite is run again to see which
    of the operations inside it does. Backward, each node of the graph.

    Args:
        model: gives the modules' names.
        line: tells the line of the user's code where the stack does not show it.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> with OriginTrace(model) as trace:
        ...     loss = (model(torch.zeros(1, 2)) - model.bias).sqrt().sum()
        ...     trace.follow(loss)
        ...     loss.backward()
        >>> trace.origin().op, trace.origin().phase
        ('sqrt', 'backward')
    """

    def __init__(self, model: nn.Module, line: Callable[[], tuple[str, int] | None] = lambda: None) -> None:
        super().__init__()
        self._model = model
        self._line = line
        self._modules: list[str] = []
        self._left = False
        self._places: dict[Node, _Place] = {}
        self._first: Origin | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> "OriginTrace":
        for name, module in self._model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            self._handles.append(module.register_forward_pre_hook(self._enterer(name or type(module).__name__)))
            self._handles.append(module.register_forward_hook(self._leave, always_call=True))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._places.clear()

    def origin(self) -> Origin | None:
        """What was found; None where everything was finite."""
        return self._first

    def follow(self, loss: Tensor) -> None:
        """Look at every node of the loss's graph when the backward pass comes by."""
        start = loss.grad_fn
        if start is None or self._first is not None:
            return
        nowhere = _Place("", True, None, None)
        waiting: list[tuple[Node, _Place]] = [(start, nowhere)]
        seen: set[Node] = set()
        while waiting:
            node, above = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            # A function of several operations is known by its last one: those before it belong there too.
            place = self._places.get(node, above)
            if node.name() != "torch::autograd::AccumulateGrad":
                self._handles.append(node.register_hook(self._looker(node.name(), place)))
            waiting += [(before, place) for before, _ in node.next_functions if before is not None]

    def look(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function of torch and see whether it makes the first number that is not finite."""
        name = getattr(func, "__name__", "")
        given = [tensor for tensor in tensors_of((args, kwargs)) if tensor.is_floating_point()]
        # Before the call: an operation in place has no input afterwards.
        # -inf may be a mask: that a softmax sees nothing else is no fault of the mask.
        sound = name not in UNSEEN and not any_nan(given) and not any_positive_infinity(given)
        largest = _largest(given) if sound else None
        output = func(*args, **kwargs)
        if name in UNSEEN:
            return output
        place = self._here(largest)
        for tensor in tensors_of(output):
            if not tensor.is_floating_point():
                continue
            if self._first is None and sound and given:
                bad = any_nan([tensor]) if name in MASKING or any_nonfinite(given) else any_nonfinite([tensor])
                if bad:
                    op = _inside(func, args, kwargs) or name.strip("_")
                    phase = "data" if _is_given(name, args, kwargs) else "loss" if place.behind else "forward"
                    self._first = _origin(op, place, phase, tensor)
            if tensor.grad_fn is not None:
                self._places.setdefault(tensor.grad_fn, place)
        return output

    def _here(self, largest: Tensor | None) -> _Place:
        where = self._modules[-1] if self._modules else ""
        return _Place(where, self._left and not self._modules, source_line() or self._line(), largest)

    def _looker(self, name: str, place: _Place) -> Any:
        def look(before: Any, after: Any) -> None:
            if self._first is not None or any_nonfinite([grad for grad in after if grad is not None]):
                return
            bad = next((grad for grad in before if grad is not None and any_nonfinite([grad])), None)
            if bad is not None:
                self._first = _origin(operation(name), place, "backward", bad)

        return look

    def _enterer(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            self._modules.append(name)

        return enter

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._modules:
            self._modules.pop()
        self._left = True


def operation(node: str) -> str:
    """The operation that a node of the graph is the backward of.

    >>> [operation(name) for name in ("SqrtBackward0", "LinalgVectorNormBackward0", "NllLossBackward0")]
    ['sqrt', 'linalg_vector_norm', 'nll_loss']
    """
    words = re.sub(r"Backward\w*$", "", node.rpartition("::")[2])
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()


class _Inside(TorchDispatchMode):
    """Which operation inside a function of torch is the first to make what is not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [tensor for tensor in tensors_of((args, kwargs or {})) if tensor.is_floating_point()]
        sound = not self.found and not any_nan(given) and not any_positive_infinity(given)
        output = func(*args, **(kwargs or {}))
        made = [tensor for tensor in tensors_of(output) if tensor.is_floating_point()]
        if sound and made and any_nonfinite(made):
            self.found = func.overloadpacket.__name__.strip("_")
        return output


def _is_given(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a plain number that is not finite was handed to a function, and it is no mask."""
    numbers = [each for each in (*args, *kwargs.values()) if isinstance(each, float)]
    return name not in MASKING and not all(map(math.isfinite, numbers))


def _inside(func: Any, args: Any, kwargs: dict[str, Any]) -> str:
    """The operation's name; "" where the function cannot be called twice."""
    name = getattr(func, "__name__", "")
    if name.endswith("_") or name[:3] == "__i" or kwargs.get("out") is not None:
        return ""
    try:
        with torch.no_grad(), _Inside() as inside:
            func(*args, **kwargs)
    except Exception:
        return ""
    return inside.found


def _origin(op: str, place: _Place, phase: str, bad: Tensor) -> Origin:
    with torch.no_grad():
        wrong = ~torch.isfinite(bad.detach())
        is_nan = any_nan([bad.detach()])
        rows = wrong.reshape(len(bad), -1).any(1).nonzero().flatten() if bad.ndim and len(bad) else wrong.nonzero()
        share = read_tensor_scalar(wrong.double().mean())
        samples = tuple(int(read_tensor_scalar(each) or 0) for each in rows.flatten()[:SAMPLES].unbind())
    largest = 0.0 if place.largest_input is None else read_tensor_scalar(place.largest_input) or 0.0
    line = None if place.line is None else (os.path.abspath(place.line[0]), place.line[1])
    return Origin(op, place.where, phase, tuple(bad.shape), largest, share, "nan" if is_nan else "inf", samples, line)


def _largest(tensors: list[Tensor]) -> Tensor | None:
    """The largest absolute value; what is far below zero is a mask."""
    seen = [tensor.detach().double() for tensor in tensors if tensor.numel()]
    sizes = [torch.where(tensor <= MASK, 0.0, tensor.abs()).max() for tensor in seen]
    return torch.stack(sizes).max() if sizes else None
