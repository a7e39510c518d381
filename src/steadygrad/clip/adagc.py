"""A threshold for each tensor from its own history."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from .arguments import between, count, positive, threshold
from .by_norm import at_most
from .gradients import Gradients
from .policy import Policy
from .scale_change import ScaleChange


class AdaGC(Policy):
    r"""Clip each tensor's norm at a little above the running mean of its own clipped norms.

    .. math:: h_i = \min\left(1, \frac{\lambda_{rel} \gamma_i}{\|g_i\| + \epsilon}\right), \qquad
        \gamma_i \leftarrow \beta \gamma_i + (1 - \beta) \|h_i g_i\|

    A tensor's first `warmup_steps` gradients are clipped by the global norm at :math:`\lambda_{abs}`, and
    :math:`\gamma_i` is the smallest of them. Where the original breaks: a gradient of zero says nothing, so a tensor
    whose gradient is zero in the warm-up (a LoRA factor, an expert, what is frozen at first) has a warm-up of its own
    later and is never frozen; a norm that is not finite never enters; `patience` clipped steps in a row that agree are
    a new scale (the original takes 5660 steps to follow a tenfold rise). The state can be saved.

    Args:
        lambda_rel: :math:`\lambda_{rel}`, above 1.
        lambda_abs: :math:`\lambda_{abs}`, the global norm in the warm-up.
        beta: :math:`\beta`.
        warmup_steps: gradients of a tensor before its own threshold acts.
        eps: :math:`\epsilon`.
        patience: clipped steps in a row that are a change of scale; None: never, as in the paper.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> weight, policy = torch.nn.Parameter(torch.zeros(1)), AdaGC(warmup_steps=2)
        >>> for size in (0.5, 0.4, 9.0):
        ...     weight.grad = torch.tensor([size])
        ...     result = policy([weight])
        >>> round(weight.grad.item(), 3)
        0.416

    References:
        Wang et al., "AdaGC: Improving training stability for large language model pretraining", 2025.
    """

    scope: ClassVar[str] = "tensor norm"

    def __init__(
        self,
        *,
        lambda_rel: float = 1.04,
        lambda_abs: float = 1.0,
        beta: float = 0.99,
        warmup_steps: int = 100,
        eps: float = 1e-6,
        patience: int | None = 50,
    ) -> None:
        self.lambda_rel = between("lambda_rel", lambda_rel, 1.0, math.inf)
        self.lambda_abs = threshold("lambda_abs", lambda_abs)
        self.beta = between("beta", beta, 0.0, 1.0)
        self.warmup_steps = count("warmup_steps", warmup_steps)
        self.eps = positive("eps", eps)
        self.patience = None if patience is None else count("patience", patience, 2)
        self._gamma: Tensor | None = None
        self._seen: Tensor | None = None
        self._change: ScaleChange | None = None

    def rescale_(self, gradients: Gradients) -> None:
        """Clip each tensor and take in what is left of it."""
        if not gradients.grads:
            return
        norms = gradients.norms()
        gamma, seen, change = self._begun(gradients, norms)
        present = _spread(gradients, torch.ones_like(norms), 0.0) > 0
        norms = _spread(gradients, norms, 0.0)
        total = gradients.norm()
        told = present & (norms > 0) & torch.isfinite(total)
        warm = seen >= self.warmup_steps
        own = (self.lambda_rel * gamma / (norms + self.eps)).clamp(max=1.0)
        factors = torch.where(warm, own, at_most(total, self.lambda_abs))
        clipped = factors * norms
        learned = torch.where(warm, self.beta * gamma + (1 - self.beta) * clipped, torch.minimum(gamma, clipped))
        changed = change.push(warm & (own < 1.0), norms, told)
        learned = torch.where(changed, change.smallest, learned)
        change.forget(changed)
        self._gamma = torch.where(told, learned, gamma)
        self._seen = seen + told.to(torch.int64)
        gradients.scale_each_(_gather(gradients, factors))

    def _begun(self, gradients: Gradients, like: Tensor) -> tuple[Tensor, Tensor, ScaleChange]:
        if self._gamma is None or self._seen is None or self._change is None:
            self._gamma = like.new_full((0,), math.inf)
            self._seen = torch.zeros(0, dtype=torch.int64, device=like.device)
            self._change = ScaleChange(self.patience, self._gamma.shape, like)
        if self._gamma.device != like.device:
            self._gamma, self._seen = self._gamma.to(like.device), self._seen.to(like.device)
            self._change.to(like.device)
        missing = len(gradients.every) - len(self._gamma)
        if missing < 0:
            raise ValueError(
                f"there are {len(gradients.every)} parameters, expected the {len(self._gamma)} from before"
            )
        if missing:
            self._gamma = torch.cat([self._gamma, like.new_full((missing,), math.inf)])
            self._seen = torch.cat([self._seen, self._seen.new_zeros(missing)])
            self._change.grow(missing)
        return self._gamma, self._seen, self._change

    def state_dict(self) -> dict[str, Any]:
        """The tensors' thresholds in the order of the parameters, how often each was seen, and the streaks."""
        if self._gamma is None or self._seen is None or self._change is None:
            return {}
        return {"gamma": self._gamma.clone(), "seen": self._seen.clone(), "change": self._change.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._gamma = self._seen = self._change = None
        if state:
            gamma = state["gamma"].clone()
            self._gamma, self._seen = gamma, state["seen"].clone()
            self._change = ScaleChange(self.patience, gamma.shape, gamma)
            self._change.load_state_dict(state["change"])


def _spread(gradients: Gradients, values: Tensor, missing: float) -> Tensor:
    """Values of the gradients that are there as values of all parameters."""
    if len(gradients.places) == len(gradients.every):
        return values
    everything = [values.new_full((), missing)] * len(gradients.every)
    for place, value in zip(gradients.places, values.unbind(), strict=True):
        everything[place] = value
    return torch.stack(everything)


def _gather(gradients: Gradients, values: Tensor) -> Tensor:
    """Values of all parameters as values of the gradients that are there."""
    if len(gradients.places) == len(gradients.every):
        return values
    everything = values.unbind()
    return torch.stack([everything[place] for place in gradients.places])
