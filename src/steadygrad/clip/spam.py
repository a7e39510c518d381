"""Clip single elements against Adam's second moment, and start the moments anew now and then."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from .. import _dist
from .._foreach import chunks
from .._readback import peek
from .arguments import count, threshold
from .gradients import Gradients
from .policy import Policy

MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
"""What an optimizer of the Adam family remembers of the gradients."""

DEPTH = 0.99
"""How far the learning rate goes down at a reset: to 1 % of itself."""


class SPAM(Policy):
    r"""Spike-aware Adam: bring elements that are far beyond their second moment down to it, and reset the moments.

    .. math:: g_{ij} \leftarrow \text{sign}(g_{ij}) \sqrt{\theta v_{ij}} \;\text{ where }\; g_{ij}^2 > \theta v_{ij}

    Every `reset_every` steps the moments are set to zero; the learning rate then rises along a cosine from 1 % to its
    full value over `warmup_steps`, and elements are clipped again after `grace` steps. Where the original breaks: the
    bias correction starts anew with the moments; the phase is saved and a run resumes exactly; an element whose second
    moment is zero (a row of an embedding that was not seen yet) is left alone instead of frozen.

    Works through `steadygrad.clip.attach`, on optimizers of the Adam family.

    Args:
        threshold: :math:`\theta`; `inf` clips nothing.
        reset_every: steps between resets of the moments; None: never.
        warmup_steps: steps over which the learning rate comes back after a reset.
        grace: steps after a start or a reset before elements are clipped.

    Raises:
        ValueError: an argument is out of its range, or the optimizer keeps no second moments.

    Example:
        >>> from steadygrad.clip import attach
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = torch.optim.Adam([weight])
        >>> attached = attach(SPAM(grace=2), optimizer)
        >>> for size in (1.0, 1.0, 1.0, 1e6):
        ...     weight.grad = torch.tensor([1.0, size])
        ...     optimizer.step()
        >>> weight.grad[1].item() < 10.0
        True

    References:
        Huang et al., "SPAM: Spike-aware Adam with momentum reset for stable LLM training", 2025.
    """

    scope: ClassVar[str] = "elements"
    needs_optimizer: ClassVar[bool] = True
    needs_step: ClassVar[bool] = True

    def __init__(
        self,
        threshold: float = 5000.0,
        *,
        reset_every: int | None = 500,
        warmup_steps: int = 150,
        grace: int = 20,
    ) -> None:
        self.threshold = _threshold("threshold", threshold)
        self.reset_every = None if reset_every is None else count("reset_every", reset_every, 2)
        self.warmup_steps = count("warmup_steps", warmup_steps, 0)
        self.grace = count("grace", grace, 0)
        if self.reset_every is not None and self.grace >= self.reset_every:
            raise ValueError(f"grace is {grace} and reset_every {reset_every}, expected a shorter grace")
        self._since = 0
        self._was_reset = False
        self._rates: list[tuple[dict[str, Any], Any]] = []

    def rescale_(self, gradients: Gradients) -> None:
        """Clip elements; the moments are those from before this gradient."""
        optimizer = gradients.optimizer
        assert optimizer is not None
        if self._since < self.grace:
            return
        finite = torch.isfinite(gradients.norm())
        known = peek(finite)
        if known is not None and not known[0]:
            return
        for param, grad in zip(gradients.params, gradients.edit(), strict=True):
            if "exp_avg_sq" not in optimizer.state.get(param, {}) or grad.shape != _dist.local(param).shape:
                continue  # no second moment yet, or the values of a sparse gradient, which Adam does not take
            for values, moment in chunks(grad, _dist.local(optimizer.state[param]["exp_avg_sq"])):
                # The squares first: where none is beyond its limit, a root and two comparisons for each are saved.
                if values.is_cpu:
                    beyond = peek(torch.mul(moment, -self.threshold).addcmul_(values, values).amax())
                    if beyond is not None and beyond[0] <= 0.0:
                        continue
                limit = (self.threshold * moment).sqrt_().to(grad.dtype)
                limit.masked_fill_(limit == 0, math.inf)
                if known is None:
                    limit.masked_fill_(finite.logical_not().to(limit.device), math.inf)
                torch.clamp(values, -limit, limit, out=values)

    def before_step(self, optimizer: Optimizer) -> None:
        """Reset the moments when it is time, and lower the learning rate after that."""
        if any("betas" not in group for group in optimizer.param_groups):
            raise ValueError(f"{type(optimizer).__name__} keeps no second moments, expected an optimizer like Adam")
        if self.reset_every is not None and self._since >= self.reset_every:
            _reset(optimizer)
            self._since, self._was_reset = 0, True
        if self._was_reset and self._since < self.warmup_steps:
            share = 1 - DEPTH * (1 + math.cos(math.pi * self._since / self.warmup_steps)) / 2
            for group in optimizer.param_groups:
                rate = group["lr"]
                self._rates.append((group, rate.clone() if isinstance(rate, Tensor) else rate))
                group["lr"] = rate * share
        self._since += 1

    def after_step(self, optimizer: Optimizer) -> None:
        """Put back the learning rates, to the last bit."""
        for group, rate in self._rates:
            group["lr"] = rate
        self._rates.clear()

    def state_dict(self) -> dict[str, Any]:
        """The phase; the moments are the optimizer's."""
        return {"since": self._since, "was_reset": self._was_reset}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._since, self._was_reset = int(state["since"]), bool(state["was_reset"])


_threshold = threshold


@torch.no_grad()
def _reset(optimizer: Optimizer) -> None:
    for state in optimizer.state.values():
        for name in MOMENTS:
            if isinstance(state.get(name), Tensor):
                state[name].zero_()
        if isinstance(state.get("step"), Tensor):
            state["step"].zero_()
        elif "step" in state:
            state["step"] = 0
