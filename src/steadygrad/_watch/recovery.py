"""Carrying out what the guard orders beside a step: rolling back, stopping; and keeping the snapshots for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from .._clock import own_seconds
from .._foreach import zero_
from .._rate import LoweredRate, can_lower
from .._readback import any_nonfinite, read_tensor_scalar, read_vector
from .._snapshot import PLAIN, QUARANTINE, Room, SnapshotRing, TrainingParts, TrainingSnapshot
from ..guard import ENDS, LEAST_MEASURED, Escalation, Guard, Incident, Order, Ruling
from ..measure import tensor_norms

LEARN_OPTIONS = 3
"""Steps in which an optimizer shows which of its groups' options it changes itself."""


class Recovery:
    """The snapshots, the rungs and the lowered learning rate of one optimizer.

    Args:
        index: the optimizer's number.
        optimizer: the optimizer.
        guard: judges its steps; its state goes with each snapshot.
        room: the memory for snapshots.
        every: steps between snapshots; None: by their cost.
        alone: whether this is the only rank: then the clock and the buffers may choose when snapshots are taken.
        holds: whether gradients that have grown may be held to the norm from before.
        for_good: whether a lowered learning rate stays lowered, however quiet it is.
        say: tells people one line.
    """

    def __init__(
        self,
        index: int,
        optimizer: Optimizer,
        guard: Guard,
        *,
        room: Room,
        every: int | None,
        alone: bool,
        holds: bool,
        for_good: bool,
        say: Callable[[str], None],
    ) -> None:
        self._guard = guard
        self._alone = alone
        self.ring = SnapshotRing(room, every=every, by_clock=alone, on_off=say)
        self.escalation = Escalation(index, holds=holds, for_good=for_good)
        self.rate = LoweredRate()
        self.factor = 1.0
        """What the rate of the step is multiplied by."""
        self.orders: list[Order] = []
        self._own_options: frozenset[str] = frozenset()
        self._options: list[dict[str, Any]] | None = None
        self._learned = 0
        self._lr: float | None = None
        self._unsound_at_first: frozenset[str] = frozenset()
        self.moved_on = False
        self.trained = False
        """Whether a step was made at all: what was rolled back is no fresh initialisation either."""
        self._since_alarm = QUARANTINE + 1
        self._unused = guard.state_dict()

    @property
    def incident(self) -> Incident | None:
        """The incident that is open."""
        return self.escalation.incident

    @property
    def settled(self) -> bool:
        """Whether no incident is open and the last alarm is long enough ago."""
        return self.incident is None and self._since_alarm > QUARANTINE

    def state_dict(self) -> dict[str, Any]:
        """The rungs and the incident, as plain data."""
        return {"escalation": self.escalation.state_dict(), "since_alarm": self._since_alarm}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.escalation.load_state_dict(state["escalation"])
        self._since_alarm = int(state["since_alarm"])

    def begin(self, step: int, parts: TrainingParts, names: Sequence[str]) -> None:
        """Before the first step: the state that the training begins with is the first to go back to."""
        self._unsound_at_first = frozenset(self.unsound(parts, names))
        self.ring.take(step, parts, self._guard.state_dict(), proven=True)

    def before(self, optimizer: Optimizer) -> float | None:
        """Lower the rate for this step, if it is to be; returns what it is now."""
        self.rate.restore()
        own = learning_rate(optimizer)
        self._lr = own if can_lower(optimizer) else None
        factor = self.factor = self.escalation.ladder.factor(self._lr)
        self.rate.apply(optimizer, factor)
        if self._learned < LEARN_OPTIONS:  # anew at every step: what has changed since a lost one was the schedule
            self._options = _options(optimizer)
        return own if factor == 1.0 else learning_rate(optimizer)

    def held(self, norm: float) -> float:
        """What gradients of this norm are multiplied by, that have grown and are held to the norm from before."""
        return self.escalation.held.coefficient(norm)

    def ruled(
        self,
        step: int,
        ruling: Ruling,
        loss: float | None,
        parts: TrainingParts,
        names: Sequence[str],
        refuted: Callable[[], bool] = lambda: False,
        *,
        norm: float = 0.0,
    ) -> Incident | None:
        """A step was ruled on: what follows beside it; returns an incident that has begun or ended with it."""
        before = self.incident
        self.orders = self.escalation.observe(
            step,
            ruling,
            self._guard.level,
            self._guard.incident(),
            can_roll_back=self.moved_on and self.ring.newest() is not None,
            better_before=self._better_before(loss),
            loss=loss if self._guard.use_loss else None,
            lr=self._lr,
            norm=norm,
            grown=self._guard.grown,
            damaged=lambda: self._damage(replace(parts, modules=()), names),
            refuted=refuted,
        )
        self._since_alarm = 0 if ruling.alarms or ruling.lost else self._since_alarm + 1
        for raised in ruling.alarms:
            if "weights_of" in raised.detail:  # those were seen to be sound
                self.ring.drop_after(raised.detail["weights_of"])
            else:
                self.ring.distrust(step - raised.late)
        if self.incident is not None and before is None:
            return self.incident
        return self.escalation.ended if any(order.action in ENDS for order in self.orders) else None

    def made(self, step: int, optimizer: Optimizer, parts: TrainingParts, names: Sequence[str]) -> list[str]:
        """A step was made; a snapshot follows if one is due and all is well. Returns buffers that were mended."""
        self.moved_on = self.trained = True
        if self._options is not None:
            self._learned += 1
            changed = {
                key
                for old, new in zip(self._options, _options(optimizer), strict=False)
                for key in new
                if old.get(key) != new[key]
            }
            self._own_options |= changed - {"lr"}
            self._options = None
        if self.incident is not None or self.ring.off:
            return []
        self.ring.sound(step)
        if not self.ring.due(step) or self._guard.incident() or self._guard.level.worse():
            return []
        began = own_seconds()
        damage = self._damage(parts, names)
        mended = self._mend_buffers(parts, damage) if damage else []
        decides = parts if self._alone else replace(parts, modules=())  # each rank has buffers of its own
        if not damage or not self._damage(decides, names):
            self.ring.take(step, parts, self._guard.state_dict(), loss=self._guard.level.level(), began=began)
        return mended

    def roll_back(self, order: Order, parts: TrainingParts) -> dict[str, Any]:
        """Put back the newest proven snapshot, or the one before it if that was tried; returns what is recorded."""
        if order.detail.get("older"):
            self.ring.drop_newest()
        snapshot = self.ring.newest()
        assert snapshot is not None
        snapshot.restore_(parts)
        self._guard.load_state_dict(snapshot.guard_state)
        zero_([param.grad for param in parts.params if param.grad is not None])
        self.moved_on = False
        return {"to": snapshot.step, "reason": order.detail["reason"]}

    def restart(self, parts: TrainingParts, from_state: TrainingSnapshot | None = None) -> int | None:
        """Put back the state that the training has begun with, or another one that was kept.

        Returns:
            Its step; None if it is not kept any more.
        """
        snapshot = self.ring.first() if from_state is None else from_state
        if snapshot is None:
            return None
        snapshot.restore_(parts)
        self._guard.load_state_dict(snapshot.guard_state)
        if from_state is None:
            self.ring.drop_all_but_first()
        else:
            self.ring.begin_with(snapshot)
        self.moved_on = False
        return snapshot.step

    def restore_better(self, parts: TrainingParts, *, newest: bool = False) -> int | None:
        """Put back the proven state with the best loss, if that is better than the level of now; returns its step.

        Both are medians of eight: a difference as large as the noise of one loss is 2.3 deviations of theirs. What has
        just begun is in no median yet: then the last loss is what is now.

        Args:
            parts: what is put back.
            newest: the newest of those that are better will do: an older one may have been of an easier task.
        """
        now, noise, last = self._guard.level.level(), self._guard.level.noise(), self.escalation.last_loss
        if last is not None and self._guard.level.far_above(last):
            now = last
        if now is None:
            return None
        better = [(each.loss, -each.step, each) for each in self.ring.proven if each.loss is not None]
        better = [each for each in better if each[0] < now - noise]
        if not better:
            return None
        chosen = (better[-1] if newest else min(better))[2]
        chosen.restore_(parts)
        self.ring.drop_after(chosen.step)
        self.moved_on = False
        return chosen.step

    def begin_anew(self) -> None:
        """What was wrong has been put right: what was usual until now, and what was counted, says nothing any more."""
        self._guard.load_state_dict(self._unused)
        self.escalation.repaired()

    def lower_rate(self, reason: str, factor: float) -> bool:
        """Lower the rate to a share of the script's own, for good; returns whether that was possible."""
        return self.escalation.ladder.down(reason, self._lr, factor, known=True, least=LEAST_MEASURED) is not None

    def give_rate_back(self, reason: str) -> bool:
        """The script's own rate again; returns whether it was another."""
        return self.escalation.ladder.give_back(reason) is not None

    def let_rate_come_back(self, reason: str) -> bool:
        """The script's own rate again, slowly; returns whether it was another."""
        return self.escalation.ladder.come_back(reason) is not None

    def begin_slowly(self, reason: str, factor: float, over: int) -> bool:
        """A share of the script's own rate now, and all of it after so many steps; whether that was possible."""
        if not self.lower_rate(reason, factor):
            return False
        self.escalation.ladder.come_back(reason, over)
        return True

    def _better_before(self, loss: float | None) -> bool:
        snapshot, now = self.ring.newest(), self._guard.level.level()
        if self._guard.clip.num_hits and loss is not None:
            now = loss  # what is clipped enters no level
        before = None if snapshot is None else snapshot.loss
        if before is None:  # taken before the first step
            before = self._guard.level.first
        return before is None or now is None or before < now

    def own_options(self) -> frozenset[str]:
        """Keys of parameter groups that the optimizer's own steps change."""
        return self._own_options

    def unsound(self, parts: TrainingParts, names: Sequence[str]) -> list[str]:
        """Names of parameters, moments and buffers that are not finite."""
        owners: list[tuple[Tensor, str]] = list(zip(parts.params, names, strict=True))
        tensors = [param.detach() for param in parts.params]
        state = parts.optimizer.state
        moments = [(key, owner) for owner in owners for key, value in _of(state, owner[0]).items() if _floating(value)]
        tensors += [_of(state, owner[0])[key] for key, owner in moments]
        buffers = self._buffers(parts.modules)
        tensors += [buffer for _, buffer in buffers]
        places = _nonfinite(tensors)
        if not places:
            return []
        told = [*names, *(f"{key} of {name}" for key, (_, name) in moments), *(name for name, _ in buffers)]
        return [told[place] for place in places]

    def _damage(self, parts: TrainingParts, names: Sequence[str]) -> list[str]:
        return [name for name in self.unsound(parts, names) if name not in self._unsound_at_first]

    def _mend_buffers(self, parts: TrainingParts, damage: Sequence[str]) -> list[str]:
        """Buffers that have become NaN poison evaluation, not training: those alone are put back."""
        snapshot = self.ring.newest()
        if snapshot is None or not {name for name, _ in self._buffers(parts.modules)} & set(damage):
            return []
        return snapshot.restore_buffers_(parts, lambda buffer: any_nonfinite([buffer]))

    def _buffers(self, modules: Sequence[nn.Module]) -> list[tuple[str, Tensor]]:
        return [
            (name, buffer)
            for root in modules
            if not isinstance(root, torch.jit.ScriptModule)
            for name, buffer in root.named_buffers()
            if _floating(buffer)
        ]


def _of(state: Any, param: Tensor) -> dict[str, Any]:
    own = state.get(param)
    return own if isinstance(own, dict) else {}


def _nonfinite(tensors: Sequence[Tensor]) -> list[int]:
    norms = read_vector(tensor_norms(tensors), len(tensors), 0.0)
    # Finite values whose squares overflow are large, not infinite.
    return [place for place in map(int, np.flatnonzero(~np.isfinite(norms))) if any_nonfinite([tensors[place]])]


def _floating(value: Any) -> bool:
    return isinstance(value, Tensor) and not is_lazy(value) and value.is_floating_point() and value.numel() > 0


def learning_rate(optimizer: Optimizer) -> float | None:
    """The largest learning rate of the optimizer's groups; None where there is none."""
    rates = [read_tensor_scalar(group.get("lr")) for group in optimizer.param_groups]
    return max((rate for rate in rates if rate is not None), default=None)


def _options(optimizer: Optimizer) -> list[dict[str, Any]]:
    return [{k: v for k, v in group.items() if isinstance(v, PLAIN)} for group in optimizer.param_groups]
