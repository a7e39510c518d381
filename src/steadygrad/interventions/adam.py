"""Adam's own options: how soon the second moment forgets, and what is added to its root."""

from typing import Any

from torch.optim import Optimizer

from .intervention import Intervention


class _Options(Intervention):
    """Changes options of an optimizer, and puts them back at its end."""

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._kept: list[tuple[dict[str, Any], str, Any]] = []

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """In every group, and for groups to come."""
        for group in (*optimizer.param_groups, optimizer.defaults):
            for name, value in self.wanted(group).items():
                self._kept.append((group, name, group[name]))
                group[name] = value
                self.times += 1

    def end(self) -> None:
        """As they were."""
        for group, name, value in reversed(self._kept):
            group[name] = value
        self._kept.clear()

    def wanted(self, group: dict[str, Any]) -> dict[str, Any]:
        """Options of a group that are to be others."""
        raise NotImplementedError


class LowerBeta2(_Options):
    """The second moment remembers some 20 steps (RMSprop: 10).

    Reference: Zhai et al., "Sigmoid loss for language image pre-training", 2023 (section on training instability).
    """

    remedy = "lower-beta2"

    def wanted(self, group: dict[str, Any]) -> dict[str, Any]:
        """Those of Adam and its relatives, or of RMSprop."""
        betas = group.get("betas")
        if isinstance(betas, (tuple, list)) and len(betas) == 2 and betas[1] > 0.95:
            return {"betas": (betas[0], 0.95)}
        if "alpha" in group and "centered" in group and group["alpha"] > 0.9:
            return {"alpha": 0.9}
        return {}


class RaiseEpsilon(_Options):
    """What is added to the root of the second moment is large enough to limit updates of small gradients.

    Reference: Choi et al., "On empirical comparisons of optimizers for deep learning", 2019.
    """

    remedy = "raise-epsilon"

    def __init__(self, where: str = "", *, eps: float = 1e-4, **options: Any) -> None:
        super().__init__(where, **options)
        self._eps = eps

    def wanted(self, group: dict[str, Any]) -> dict[str, Any]:
        """Where it is smaller."""
        eps = group.get("eps")
        return {"eps": self._eps} if isinstance(eps, float) and eps < self._eps else {}
