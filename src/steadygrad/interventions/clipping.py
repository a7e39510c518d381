"""Policies of `steadygrad.clip` before each step of whatever trains."""

from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .._tap import OwnUpdates
from ..clip import ClipByGlobalNorm, ClipByUpdateRMS, Policy, QKClip
from ..clip.fold import settle_scale, step_gradients
from ..clip.qk import query_key
from .intervention import Intervention


class _Clip(Intervention):
    """One policy for each optimizer."""

    for_own_updates: ClassVar[bool] = True

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._policies: dict[int, Policy] = {}

    def policy(self) -> Policy:
        """A fresh one."""
        raise NotImplementedError

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Make one."""
        self._policies[id(optimizer)] = self.policy()

    @torch.no_grad()
    def before_step(self, optimizer: Optimizer) -> bool:
        """Clip."""
        if isinstance(optimizer, OwnUpdates) and not self.for_own_updates:
            return False
        policy = self._policies.get(id(optimizer))
        if policy is not None and not isinstance(optimizer, torch.optim.LBFGS):
            gradients = step_gradients(optimizer)
            policy.clip_(gradients)
            settle_scale(optimizer, gradients)
            policy.before_step(optimizer)
            self.times += 1
        return False

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """What some policies do to the update."""
        policy = self._policies.get(id(optimizer))
        if policy is not None and not isinstance(optimizer, torch.optim.LBFGS):
            policy.after_step(optimizer)


class ClipGlobalNorm(_Clip):
    """The gradient's norm is limited.

    Reference: Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.
    """

    remedy = "clip-global-norm"

    def __init__(self, where: str = "", *, max_norm: float = 1.0, **options: Any) -> None:
        super().__init__(where, **options)
        self._max_norm = max_norm

    def policy(self) -> Policy:
        """With this limit."""
        return ClipByGlobalNorm(self._max_norm)


class StableAdamW(_Clip):
    """The update's root mean square is limited where the second moment lags behind.

    Reference: Wortsman et al., "Stable and low-precision training for large-scale vision-language models", 2023.
    """

    remedy = "stable-adamw"
    for_own_updates = False

    def policy(self) -> Policy:
        """Limit 1."""
        return ClipByUpdateRMS()

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Only where there are second moments with a count of their steps."""
        if isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam)):
            super().optimizer_made(optimizer)


class RescaleQueryKeyWeights(Intervention):
    """Query and key projections shrink after a step in which a head's largest logit was above a threshold.

    Reference: Kimi Team, "Kimi K2: Open agentic intelligence", 2025.
    """

    remedy = "rescale-query-key-weights"

    def __init__(self, where: str = "", *, threshold: float = 100.0, **options: Any) -> None:
        super().__init__(where, **options)
        self._threshold = threshold
        self._policies: list[QKClip] = []

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Lie on its attention: whatever has projections to queries and keys."""
        modules = [each for each in module.modules() if _projects(each)]
        if modules:
            self._policies.append(QKClip(module, self._threshold, modules=modules))

    def end(self) -> None:
        """Lie on it no more."""
        for policy in self._policies:
            policy.close()
        self._policies.clear()

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Shrink them."""
        for policy in self._policies:
            policy.after_step(optimizer)
            seen = policy.max_logits().values()
            self.times += any((read_tensor_scalar(each.max()) or 0.0) > self._threshold for each in seen)


def _projects(module: nn.Module) -> bool:
    try:
        query_key(module)
    except (ValueError, TypeError, AttributeError):
        return False
    return True
