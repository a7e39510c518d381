"""Adam's own options: how soon the second moment forgets, and what is added to its root."""

from typing import Any

from torch.optim import Optimizer

from .intervention import Intervention


class LowerBeta2(Intervention):
    """The second moment remembers some 20 steps (RMSprop: 10).

    Reference: Zhai et al., "Sigmoid loss for language image pre-training", 2023 (section on training instability).
    """

    remedy = "lower-beta2"

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Set it in every group, and for groups to come."""
        for group in (*optimizer.param_groups, optimizer.defaults):
            self._set(group)

    def _set(self, group: dict[str, Any]) -> None:
        betas = group.get("betas")
        if isinstance(betas, (tuple, list)) and len(betas) == 2 and betas[1] > 0.95:
            group["betas"] = (betas[0], 0.95)
            self.times += 1
        elif "alpha" in group and "centered" in group and group["alpha"] > 0.9:
            group["alpha"] = 0.9
            self.times += 1


class RaiseEpsilon(Intervention):
    """What is added to the root of the second moment is large enough to limit updates of small gradients.

    Reference: Choi et al., "On empirical comparisons of optimizers for deep learning", 2019.
    """

    remedy = "raise-epsilon"

    def __init__(self, where: str = "", *, eps: float = 1e-4, **options: Any) -> None:
        super().__init__(where, **options)
        self._eps = eps

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Set it in every group that has one."""
        for group in (*optimizer.param_groups, optimizer.defaults):
            if isinstance(group.get("eps"), float) and group["eps"] < self._eps:
                group["eps"] = self._eps
                self.times += 1
