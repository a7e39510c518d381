"""Options of an optimizer's own: how soon a second moment forgets, what is added to its root, how far a step goes."""

import weakref
from typing import Any

from torch.optim import Optimizer

from .._tap import OwnUpdates
from .intervention import Intervention

_Changes = dict[str, tuple[Any, Any]]
"""Of one group, by the option's name: the script's value and ours."""


class _Options(Intervention):
    """Changes options of an optimizer, and puts them back at its end."""

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._kept: weakref.WeakKeyDictionary[Optimizer, list[_Changes]] = weakref.WeakKeyDictionary()
        self._handles: list[Any] = []

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """In every group, and for groups to come; what is loaded brings groups of its own."""
        if isinstance(optimizer, OwnUpdates):
            return
        self._change(optimizer)
        self._handles.append(optimizer.register_load_state_dict_post_hook(self._change))

    def end(self) -> None:
        """As they were; what the script has set meanwhile is its own."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for optimizer, (default, *known) in self._kept.items():
            _put_back(optimizer.defaults, default)
            for place, group in enumerate(optimizer.param_groups):
                _put_back(group, known[place] if place < len(known) else default)
        self._kept.clear()

    def _change(self, optimizer: Optimizer) -> None:
        kept = self._kept.setdefault(optimizer, [])
        for place, group in enumerate((optimizer.defaults, *optimizer.param_groups)):
            wanted = self.wanted(group)
            if place == len(kept):
                kept.append({})
            for name, value in wanted.items():
                kept[place][name] = group[name], value
                group[name] = value
                self.times += 1

    def wanted(self, group: dict[str, Any]) -> dict[str, Any]:
        """Options of a group that are to be others."""
        raise NotImplementedError


class LowerBeta2(_Options):
    r"""The second moment remembers some 20 steps (RMSprop: 10).

    One that remembers longer lags behind. One that remembers less than the first moment does,
    :math:`\beta_2 < \beta_1^2`, bounds no update: a gradient is forgotten there, and still stepped on here.

    Reference: Zhai et al., "Sigmoid loss for language image pre-training", 2023 (section on training instability);
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015 (theorem 4.1 asks for
    :math:`\beta_1^2 < \sqrt{\beta_2}`, which is less).
    """

    remedy = "lower-beta2"

    def wanted(self, group: dict[str, Any]) -> dict[str, Any]:
        """Those of Adam and its relatives, or of RMSprop."""
        betas = group.get("betas")
        if isinstance(betas, (tuple, list)) and len(betas) == 2 and not betas[0] ** 2 <= betas[1] <= 0.95:
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


class StrongWolfe(_Options):
    """LBFGS looks along its direction for a step that lowers the loss, in place of going all the way.

    Reference: Nocedal and Wright, "Numerical optimization", 2006 (section 3.5).
    """

    remedy = "strong-wolfe"

    def wanted(self, group: dict[str, Any]) -> dict[str, Any]:
        """Where it looks for nothing."""
        searches = group.get("line_search_fn", "") is not None
        return {} if searches else {"line_search_fn": "strong_wolfe"}


def _put_back(group: dict[str, Any], changes: _Changes) -> None:
    for name, (own, ours) in changes.items():
        if group.get(name) == ours:
            group[name] = own
