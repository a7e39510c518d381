"""Parameter norms and update ratios, sampled so seldom that they cost little, and at every step near an alarm."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._clock import own_seconds
from .._readback import read_tensor_scalar, read_vector
from ..measure import tensor_norms
from ..measure.rounding import rounded_away
from ..records import NOT_MEASURED

SHARE = 0.003
"""The part of training time that sampling may take where it decides; half of it where it does not."""

SHORTEST = 10
"""Steps between samples at least, but for the first ones and those near an alarm."""

LONGEST = 1_000
"""Steps after which a sample is taken however cheap the steps are."""

FIXED = 100
"""Steps between samples where every rank must sample at the same steps, whatever its clock says."""

ALWAYS = 16
"""The first of the steps that are sampled whatever it costs, and then at every doubling: how far the weights were
carried must not depend on what else a machine had to do."""

NEAR_ALARM = 8
"""Steps after an alarm that are all sampled."""

MAX_BYTES = 256 << 20
"""Parameters copied for one sample; of a larger model each sample takes the next part."""


class Sampler:
    """Measures |w| before a step and |dw| / |w| after it, for a part of the parameters no larger than `MAX_BYTES`.

    Args:
        params: the parameters.
        by_clock: choose the steps by what sampling costs, rather than by their numbers alone.
        decides: whether the sizes of the weights decide about steps (see `Session.measured`), or are for the record
            alone: then half as often, and not at each of the first steps.
    """

    def __init__(self, params: Sequence[Tensor], *, by_clock: bool = True, decides: bool = True) -> None:
        self._params = list(params)
        self._by_clock = by_clock
        self._share = SHARE if decides else SHARE / 2
        self._first = 1 if decides else SHORTEST
        self._next_at = 0
        self._every_until = 0
        self._part = 0
        self._parts = _parts(self._params)
        self._before: list[Tensor] | None = None
        self._kept: list[Tensor] = []
        self._cost = 0.0
        self._last_time = own_seconds()
        self._last_step = 0
        self.param_norms = np.full(len(self._params), NOT_MEASURED)
        self.first_ratios: np.ndarray | None = None
        """|dw| / |w| of the very first step, if it was made."""
        self.rounded_away = 0.0
        """The share of what has a gradient that the last sampled step has not changed, in half precision."""

    def state_dict(self) -> dict[str, Any]:
        """The sizes of the weights as last measured, when they are measured next, how far the first step went, and what
        the last one left as it was."""
        return {
            "param_norms": list(map(float, self.param_norms)),
            "next_at": self._next_at,
            "every_until": self._every_until,
            "rounded_away": self.rounded_away,
            "first_ratios": None if self.first_ratios is None else list(map(float, self.first_ratios)),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; that of a model with other parameters is passed over."""
        if len(state["param_norms"]) == len(self.param_norms):
            self.param_norms = np.array(state["param_norms"], dtype=float)
            self._next_at, self._every_until = int(state["next_at"]), int(state["every_until"])
            self._last_step = self._next_at
            self.rounded_away = float(state.get("rounded_away", 0.0))  # an earlier version kept neither of these
            first = state.get("first_ratios")
            self.first_ratios = None if first is None else np.array(first, dtype=float)

    def alarmed(self, step: int) -> None:
        """Sample every one of the coming steps; not where every rank must, for some alarms are about one rank alone."""
        if self._by_clock:
            self._every_until = step + NEAR_ALARM

    def due(self, step: int) -> bool:
        """Whether this step is to be sampled."""
        return self.can and (step >= self._next_at or _is_always(step) or self.near_alarm(step))

    @property
    def can(self) -> bool:
        """Whether there is anything to sample."""
        return bool(self._params)

    def near_alarm(self, step: int) -> bool:
        """Whether an alarm was raised in one of the steps before this one."""
        return step <= self._every_until

    @property
    def pending(self) -> bool:
        """Whether a sample was begun and not ended."""
        return self._before is not None

    @property
    def weight_norm(self) -> float:
        """The global norm of the parameters as last measured."""
        known = self.param_norms[self.param_norms >= 0]
        return float(np.sqrt(np.dot(known, known)))

    def begin(self) -> np.ndarray:
        """Before the step: measure the parameters and keep a copy; returns their norms."""
        started = own_seconds()
        places = self._parts[self._part]
        chosen = [self._params[place].detach() for place in places]
        norms = self._spread(chosen, places)
        self.param_norms = np.where(norms == NOT_MEASURED, self.param_norms, norms)
        with torch.no_grad():
            # Into the memory of the last sample: fresh pages cost five times as much as the copy.
            if [each.dtype for each in self._kept] == [each.dtype for each in chosen] and len(self._parts) == 1:
                torch._foreach_copy_(self._kept, chosen)
            else:
                self._kept = [param.clone() for param in chosen]
            self._before = self._kept
        self._cost = own_seconds() - started
        return norms

    def end(self, step: int) -> np.ndarray:
        """After the step: |dw| / |w| of each parameter that `begin` looked at, `NOT_MEASURED` elsewhere."""
        started = own_seconds()
        places, before = self._parts[self._part], self._before
        assert before is not None
        with torch.no_grad():
            torch._foreach_sub_(before, [self._params[place].detach() for place in places])
        unchanged = rounded_away(before, [self._params[place].grad for place in places])
        self.rounded_away = read_tensor_scalar(unchanged) or 0.0
        moved = self._spread(before, places)
        with np.errstate(all="ignore"):  # weights that are not finite are data
            ratios = np.where(moved == NOT_MEASURED, moved, moved / np.maximum(self.param_norms, 1e-30))
        if step == 0:
            self.first_ratios = ratios
        self._before = None
        self._part = (self._part + 1) % len(self._parts)
        self._plan(step, self._cost + own_seconds() - started)
        return ratios

    def drop(self) -> None:
        """The step was lost: forget the copy."""
        self._before = None

    def _plan(self, step: int, cost: float) -> None:
        # The next sample when training has earned it: elapsed time pays `SHARE` of itself into the account.
        now = own_seconds()
        steps = max(1, step - self._last_step)
        step_time = max(1e-6, (now - self._last_time - cost) / steps)
        self._last_time, self._last_step = now, step
        wait = LONGEST if step == 0 else int(cost / (self._share * step_time)) + 1
        wait = min(LONGEST, max(SHORTEST, wait)) if self._by_clock else FIXED
        self._next_at = step + (self._first if step < 2 else wait)

    def _spread(self, tensors: Sequence[Tensor], places: Sequence[int]) -> np.ndarray:
        parts = [([places[i] for i in inner], norms) for inner, norms in tensor_norms(tensors)]
        return read_vector(parts, len(self._params), NOT_MEASURED)


def _is_always(step: int) -> bool:
    return step >= ALWAYS and not step & (step - 1)


def _parts(params: Sequence[Tensor]) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    size = 0
    for place, param in enumerate(params):
        own = param.numel() * param.element_size()
        if parts[-1] and size + own > MAX_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(place)
        size += own
    return parts
