"""The clip inside the optimizer's own kernel: the device scales and skips, and the host reads nothing.

Everything that is known about `grad_scale` and `found_inf` stands in this file. Fused kernels divide each gradient by
`grad_scale` as they read it, and do nothing at all where `found_inf` is 1.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._foreach import zero_
from .._readback import peek
from .gradients import Gradients
from .policy import Clipped, Policy

ABSENT = object()


def can_fold(optimizer: Optimizer) -> bool:
    """Whether the optimizer takes `grad_scale` and `found_inf`."""
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def step_gradients(optimizer: Optimizer) -> Gradients:
    """The gradients of an optimizer that is about to step, without the scale that a `GradScaler` has left on them."""
    scale = getattr(optimizer, "grad_scale", None)
    return Gradients.of(optimizer, inverse_scale=1.0 / scale if isinstance(scale, Tensor) else None)


def settle_scale(optimizer: Optimizer, gradients: Gradients) -> None:
    """Tell the optimizer that nothing is left to divide by, when a policy has worked on the gradients' own values."""
    scale = getattr(optimizer, "grad_scale", None)
    if isinstance(scale, Tensor) and gradients.inverse_scale is None:
        optimizer.grad_scale = torch.ones_like(scale)  # type: ignore[attr-defined]


class Fold:
    """One step of a fused optimizer, from before it to after it.

    Args:
        optimizer: one that `can_fold`.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        # A gradient scaler sets both itself and deletes them after the step: they must be there then.
        self._before = {name: getattr(optimizer, name, ABSENT) for name in ("grad_scale", "found_inf")}
        self._fresh: list[Tensor] = []
        self._found: Tensor | None = None
        self._gradients: Gradients | None = None

    def clip_(self, policy: Policy, gradients: Gradients) -> Clipped:
        """Let a policy decide, and hand its decision to the kernel."""
        before = gradients.norm()
        finite = before < math.inf  # one kernel, where isfinite takes four
        policy.rescale_(gradients)
        factor = gradients.take_factor()
        after = gradients.norm()
        settle_scale(self._optimizer, gradients)
        scale = getattr(self._optimizer, "grad_scale", None)
        known = peek(before)
        if factor is not None and not _is_one(factor):
            own = factor if not isinstance(scale, Tensor) else factor.to(scale.device) / scale
            self._set("grad_scale", own.reciprocal().to(torch.float32))
        if known is None or not math.isfinite(known[0]):
            # Exactly 0 or 1: fused kernels take it off their step counters.
            found = finite.logical_not().to(torch.float32)
            overflow = self._before["found_inf"]
            if isinstance(overflow, Tensor):
                found = torch.maximum(found, overflow.to(found.device).reshape(()))
            self._found, self._gradients = found, gradients
            self._fresh = _without_momentum(self._optimizer)
            self._set("found_inf", found)
        return Clipped(before, after, finite, policy.snapshots())

    def undo(self) -> None:
        """After the step: the optimizer's attributes as they were, and what a skipped step has left behind."""
        for name, value in self._before.items():
            if value is ABSENT:
                if hasattr(self._optimizer, name):
                    delattr(self._optimizer, name)
            else:
                setattr(self._optimizer, name, value)
        if self._found is None or self._gradients is None:
            return
        for param in self._fresh:
            # A first fused SGD step that is skipped leaves momentum that was allocated and never written.
            buffer = self._optimizer.state.get(param, {}).get("momentum_buffer")
            if isinstance(buffer, Tensor):
                buffer.masked_fill_(self._found.to(device=buffer.device, dtype=torch.bool), 0.0)
        values = peek(self._found)
        if values is not None and values[0]:
            zero_(self._gradients.grads)  # nothing of them may get into an accumulation

    def _set(self, name: str, value: Any) -> None:
        setattr(self._optimizer, name, value)


def _is_one(factor: Tensor) -> bool:
    values = peek(factor)
    return values is not None and values[0] == 1.0


def _without_momentum(optimizer: Optimizer) -> list[Tensor]:
    return [
        param
        for group in optimizer.param_groups
        if group.get("momentum")
        for param in group["params"]
        if param.grad is not None and optimizer.state.get(param, {}).get("momentum_buffer") is None
    ]
