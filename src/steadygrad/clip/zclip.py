"""A threshold from the z-score of the norm."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from .arguments import between, count, one_of, positive, threshold
from .by_norm import at_most
from .gradients import Gradients
from .policy import Policy
from .scale_change import ScaleChange

NORMAL_MAD = 1.4826
"""Standard deviation over median absolute deviation, for a normal distribution."""

LEAST_SPREAD = 0.02
"""The least standard deviation, relative to the mean: below it a z-score speaks of rounding and not of outliers."""


class ZClip(Policy):
    r"""Clip the global norm when its z-score is above :math:`z_{thres}`, the harder the bigger the outlier.

    .. math:: z = \frac{\|g\| - \mu}{\sigma + \epsilon}, \qquad
        c = \mu + \frac{z_{thres}^2}{z} \sigma \;\text{ if } z > z_{thres}

    The running mean and variance take in the clipped norm. Where the original breaks: a norm that is not finite never
    enters (one NaN turns the original off for ever); mean and variance start from median and spread of the warm-up, so
    that a spike in it does not blind; the spread is at least 2 % of the mean; `patience` outliers in a row that agree
    are a new scale (the original clips to the old one for ever). The state can be saved.

    Args:
        alpha: how slowly mean and variance move.
        z_thresh: :math:`z_{thres}`.
        max_grad_norm: a fixed limit beside it; None: none.
        eps: :math:`\epsilon`.
        warmup_steps: norms that are collected before the first z-score; only `max_grad_norm` acts until then.
        clip_factor: multiplies the distance of the target from the mean.
        clip_option: "adaptive_scaling" as above, or "mean": clip to the mean.
        patience: outliers in a row that are a change of scale; None: never, as in the paper.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> weight, policy = torch.nn.Parameter(torch.zeros(1)), ZClip(max_grad_norm=None, warmup_steps=5)
        >>> for size in (1.0, 1.1, 0.9, 1.0, 1.1, 1.0, 50.0):
        ...     weight.grad = torch.tensor([size])
        ...     result = policy([weight])
        >>> 0.9 < weight.grad.item() < 1.1
        True

    References:
        Kumar et al., "ZClip: Adaptive spike mitigation for LLM pre-training", 2025.
    """

    scope: ClassVar[str] = "global norm"

    def __init__(
        self,
        *,
        alpha: float = 0.97,
        z_thresh: float = 2.5,
        max_grad_norm: float | None = 1.0,
        eps: float = 1e-6,
        warmup_steps: int = 25,
        clip_factor: float = 1.0,
        clip_option: str = "adaptive_scaling",
        patience: int | None = 20,
    ) -> None:
        self.alpha = between("alpha", alpha, 0.0, 1.0)
        self.z_thresh = positive("z_thresh", z_thresh)
        self.max_grad_norm = None if max_grad_norm is None else threshold("max_grad_norm", max_grad_norm)
        self.eps = positive("eps", eps)
        self.warmup_steps = count("warmup_steps", warmup_steps, 2)
        self.clip_factor = positive("clip_factor", clip_factor)
        self.clip_option = one_of("clip_option", clip_option, ("adaptive_scaling", "mean"))
        self.patience = None if patience is None else count("patience", patience, 2)
        self._state: dict[str, Tensor] | None = None
        self._change: ScaleChange | None = None

    def rescale_(self, gradients: Gradients) -> None:
        """Judge the norm, clip, and take in what is left of it."""
        norm = gradients.norm()
        state, change = self._begun(norm)
        warm = state["seen"] >= self.warmup_steps
        finite = torch.isfinite(norm)
        mean, spread = state["mean"], self._spread(state)
        z = (norm - mean) / (spread + self.eps)
        outlier = warm & finite & (z > self.z_thresh)
        away = self.clip_factor * (self.z_thresh**2 / z.clamp(min=self.z_thresh)) * spread
        target = mean if self.clip_option == "mean" else mean + away
        limit = torch.where(outlier, target, math.inf)
        if self.max_grad_norm is not None:
            limit = limit.clamp(max=self.max_grad_norm)
        self._learn(state, change, norm, torch.minimum(norm, torch.where(outlier, target, norm)), outlier, finite)
        gradients.scale_(at_most(norm, limit))

    def _learn(
        self,
        state: dict[str, Tensor],
        change: ScaleChange,
        norm: Tensor,
        clipped: Tensor,
        outlier: Tensor,
        finite: Tensor,
    ) -> None:
        place = state["seen"].clamp(max=self.warmup_steps - 1).reshape(1)
        collecting = finite & (state["seen"] < self.warmup_steps)
        buffer = state["warmup"]
        buffer.scatter_(0, place, torch.where(collecting, norm, buffer.gather(0, place)))
        state["seen"] = state["seen"] + finite.to(torch.int64)
        ready = collecting & (state["seen"] == self.warmup_steps)
        middle = buffer.median()
        deviation = NORMAL_MAD * (buffer - middle).abs().median()
        step = clipped - state["mean"]
        moving = finite & collecting.logical_not()
        mean = torch.where(moving, state["mean"] + (1 - self.alpha) * step, state["mean"])
        variance = self.alpha * (state["variance"] + (1 - self.alpha) * step.square())
        variance = torch.where(moving, variance, state["variance"])
        changed = change.push(outlier, norm, moving)
        state["mean"] = torch.where(ready, middle, torch.where(changed, change.mean(), mean))
        state["variance"] = torch.where(ready, deviation.square(), torch.where(changed, change.variance(), variance))
        change.forget(changed)

    def _spread(self, state: dict[str, Tensor]) -> Tensor:
        return torch.maximum(state["variance"].sqrt(), LEAST_SPREAD * state["mean"])

    def _begun(self, like: Tensor) -> tuple[dict[str, Tensor], ScaleChange]:
        if self._state is None or self._change is None:
            self._state = {
                "seen": torch.zeros((), dtype=torch.int64, device=like.device),
                "warmup": like.new_zeros(self.warmup_steps),
                "mean": like.new_zeros(()),
                "variance": like.new_zeros(()),
            }
            self._change = ScaleChange(self.patience, like.shape, like)
        if self._state["mean"].device != like.device:
            self._state = {name: value.to(like.device) for name, value in self._state.items()}
            self._change.to(like.device)
        return self._state, self._change

    def state_dict(self) -> dict[str, Any]:
        """Mean, variance, the warm-up and the streak of outliers."""
        if self._state is None or self._change is None:
            return {}
        return {**{name: value.clone() for name, value in self._state.items()}, "change": self._change.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._state = self._change = None
        if state:
            own, change = self._begun(state["mean"])
            for name in own:
                own[name] = state[name].clone()
            change.load_state_dict(state["change"])
