"""A threshold from the run's own history of norms."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from .arguments import between, count
from .by_norm import at_most
from .gradients import Gradients
from .policy import Policy


class AutoClip(Policy):
    r"""Clip the global norm at a percentile of the norms so far: :math:`c_t = P_p(\|g_1\|, \dots, \|g_t\|)`.

    The original keeps every norm for ever, and after one NaN its threshold is NaN for good. Here the last `window`
    norms are kept, on the device, and a norm that is not finite never enters.

    Args:
        percentile: p, from 0 to 100; the paper recommends 10, so that nine steps of ten are clipped.
        window: how many norms are kept. A new scale of the gradients has taken over after so many steps at the latest.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> weight, policy = torch.nn.Parameter(torch.zeros(1)), AutoClip(50)
        >>> for size in (1.0, 1.0, 9.0):
        ...     weight.grad = torch.tensor([size])
        ...     result = policy([weight])
        >>> weight.grad.item()
        1.0

    References:
        Seetharaman et al., "AutoClip: Adaptive gradient clipping for source separation networks", 2020.
    """

    scope: ClassVar[str] = "global norm"

    def __init__(self, percentile: float = 10.0, *, window: int = 1024) -> None:
        self.percentile = between("percentile", percentile, 0.0, 100.0000001)
        self.window = count("window", window, 2)
        self._norms: Tensor | None = None
        self._seen: Tensor | None = None

    def rescale_(self, gradients: Gradients) -> None:
        """Remember the norm, then clip at the percentile of all that are remembered."""
        norm = gradients.norm()
        if self._norms is None or self._seen is None:
            # What is not there yet sorts behind everything that is.
            self._norms = norm.new_full((self.window,), torch.inf)
            self._seen = torch.zeros((), dtype=torch.int64, device=norm.device)
        self._norms, self._seen = self._norms.to(norm.device), self._seen.to(norm.device)
        finite = torch.isfinite(norm)
        place = (self._seen % self.window).reshape(1)
        kept = torch.where(finite, norm, self._norms.gather(0, place))
        self._norms.scatter_(0, place, kept.reshape(1))
        self._seen += finite
        gradients.scale_(at_most(norm, self._quantile(self._norms, self._seen.clamp(max=self.window))))

    def _quantile(self, norms: Tensor, known: Tensor) -> Tensor:
        ordered = norms.sort().values
        at = (known - 1).clamp(min=0).to(norms.dtype) * (self.percentile / 100.0)
        below = at.floor().to(torch.int64)
        above = torch.minimum(below + 1, (known - 1).clamp(min=0))
        low, high = ordered.gather(0, torch.stack([below, above])).unbind()
        return torch.where(high == low, low, low + (at - below) * (high - low))

    def state_dict(self) -> dict[str, Any]:
        """The remembered norms."""
        if self._norms is None or self._seen is None:
            return {}
        return {"norms": self._norms.clone(), "seen": self._seen.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._norms = self._seen = None
        if state:
            if len(state["norms"]) != self.window:
                raise ValueError(f"the state has a window of {len(state['norms'])}, expected {self.window}")
            self._norms, self._seen = state["norms"].clone(), state["seen"].clone()
