"""One watched optimizer: its parameters and their names, its guard, and what it needs to lose a step cleanly."""

import math
import weakref
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import _dist
from .._readback import global_norm, read_tensor_scalar, read_vectors
from .._snapshot import BufferSnapshot
from .._tap import CarriedState, find_roots, name_parameters
from ..guard import Guard, Measured
from ..measure import overflow_safe_norm, tensor_norms
from ..records import NO_GRADIENT, OptimizerInfo, TensorInfo
from .sampler import Sampler

PROPORTIONAL = (torch.optim.SGD, torch.optim.ASGD)
"""Optimizers of torch whose update grows with the gradient."""

PROPORTIONAL_SAMPLES = 3
"""Samples in which |dw| = lr |g| before an optimizer that torch does not ship counts as one of them."""


class Session:
    """What is known of one optimizer.

    Args:
        index: its place in order of first step.
        optimizer: the optimizer.
        frame: the innermost frame of the user's code, for names.
        candidates: modules among which the owners of the parameters are looked for; None: all that are alive.
        buffers: the buffers' snapshot taken when the optimizer was made, if there is one.
        use_loss: whether the loss may decide.
        on_cleared: called when a carried state was cleared.
        on_error: receives errors of ours.
    """

    def __init__(
        self,
        index: int,
        optimizer: Optimizer,
        frame: FrameType | None,
        *,
        candidates: Sequence[nn.Module] | None,
        buffers: BufferSnapshot | None,
        use_loss: bool,
        on_cleared: Callable[[str], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.index = index
        self.ref = weakref.ref(optimizer)
        self.guard = Guard(use_loss=use_loss)
        self.step = 0
        self.lost_in_a_row = 0
        self._agreeing = 0
        self._candidates = candidates
        self._name_everything(optimizer, frame)
        self.buffers = BufferSnapshot(self.roots) if buffers is None else buffers
        self.carried = CarriedState(self.roots, on_cleared, on_error)

    def refresh(self, optimizer: Optimizer, frame: FrameType | None) -> bool:
        """Look at the parameters again when their number has changed; returns whether it has."""
        if sum(len(group["params"]) for group in optimizer.param_groups) == len(self.params):
            return False
        self._name_everything(optimizer, frame)
        return True

    def measure(self, optimizer: Optimizer, losses: Sequence[Tensor]) -> "Reading":
        """Read everything about the step's gradients and losses to the host, in one transfer a device."""
        places = [place for place, param in enumerate(self.params) if param.grad is not None]
        grads: list[Tensor] = [self.params[place].grad for place in places]  # type: ignore[misc]
        width = len(self.params)
        if self.sharded:
            parts = []
        else:
            parts = [([places[i] for i in inner], norms) for inner, norms in tensor_norms(grads)]
        scale, found = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
        extras = [value for value in (*losses, scale, found) if isinstance(value, Tensor)]
        parts += [([width + place], extra.detach().reshape(1)) for place, extra in enumerate(extras)]
        vector = read_vectors(parts, width + len(extras), NO_GRADIENT)
        norms, tail = vector[:width], list(vector[width:])
        loss_values = [float(tail.pop(0)) for _ in losses]
        factor = float(tail.pop(0)) if isinstance(scale, Tensor) else 1.0
        left_out = bool(tail.pop(0)) if isinstance(found, Tensor) else False
        if not np.isfinite(norms).all() and not left_out:
            norms = self._without_overflow(norms)
        if factor != 1.0:
            norms = np.where(norms < 0, norms, norms / factor)
        return Reading(grads, norms, loss_values, left_out)

    def measured(self, optimizer: Optimizer, norm: float, loss: float | None) -> Measured:
        """What the guard is told of a step."""
        rates = [read_tensor_scalar(group.get("lr")) for group in optimizer.param_groups]
        known = [rate for rate in rates if rate is not None]
        proportional = isinstance(optimizer, PROPORTIONAL) or self._agreeing >= PROPORTIONAL_SAMPLES
        return Measured(norm, loss, max(known, default=None), self.sampler.weight_norm, proportional)

    def learn_proportionality(self, measured: Measured, coefficient: float, ratios: np.ndarray) -> None:
        """Compare |dw| of a sampled step with lr |g|: optimizers of third parties do not say what they are."""
        if self._agreeing >= PROPORTIONAL_SAMPLES or not measured.lr or (ratios < 0).any():
            return
        moved = global_norm(ratios * np.maximum(self.sampler.param_norms, 0.0))
        expected = abs(measured.lr) * measured.grad_norm * coefficient
        agrees = expected > 0 and math.isfinite(moved) and abs(moved / expected - 1.0) < 0.01
        self._agreeing = self._agreeing + 1 if agrees else 0

    def nonfinite_names(self, norms: np.ndarray, most: int = 5) -> list[str]:
        """The names of tensors whose gradient norm is not finite."""
        return [self.info.tensors[place].name for place in np.flatnonzero(~np.isfinite(norms))[:most]]

    def _without_overflow(self, norms: np.ndarray) -> np.ndarray:
        """Finite gradients whose squares overflow are large, not infinite: measure those again in float64."""
        norms = norms.copy()
        for place in np.flatnonzero(np.isinf(norms)):
            grad = self.params[place].grad
            if grad is not None:
                norms[place] = read_tensor_scalar(overflow_safe_norm(grad))
        return norms

    def _name_everything(self, optimizer: Optimizer, frame: FrameType | None) -> None:
        self.params: list[Tensor] = [param for group in optimizer.param_groups for param in group["params"]]
        self.sharded = any(_dist.is_sharded(param) for param in self.params)
        self.sampler = Sampler([] if self.sharded else self.params)
        self.roots = find_roots(self.params, self._candidates)
        names = name_parameters(self.params, self.roots, frame)
        tensors = tuple(
            TensorInfo(name, tuple(param.shape), str(param.dtype).removeprefix("torch."))
            for name, param in zip(names, self.params, strict=True)
        )
        self.info = OptimizerInfo(self.index, type(optimizer).__name__, tensors)


class Reading:
    """What was read of one step: the gradients that exist, every tensor's norm (unscaled), losses, scaler's word."""

    __slots__ = ("grads", "left_out", "losses", "norm", "norms")

    def __init__(self, grads: list[Tensor], norms: np.ndarray, losses: list[float], left_out: bool) -> None:
        self.grads = grads
        self.norms = norms
        self.losses = losses
        self.left_out = left_out
        self.norm = global_norm(norms)

    def blob(self) -> bytes:
        """The norms as a recording keeps them."""
        with np.errstate(over="ignore"):
            return self.norms.astype(np.float32).tobytes()


def scalar_loss(value: Any) -> list[Tensor]:
    """The loss a closure returned, if it returned one."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        return [value.detach()]
    return []
