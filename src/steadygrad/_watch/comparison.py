"""Do weights of before do better on the batches of now? Then it is the weights that have got worse, not the task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .._tap import quiet
from ..examination import losses_again, with_weights
from .examiner import Examiner
from .kept import ARMED, Kept
from .session import Session

PROVEN = 0.5
"""The part of what a loss has come up by that weights of before must win back to show that it is the weights."""

REFUTED = 0.1
"""The part of it that they must not win back to show that it is not."""

RAISED = 1.5
"""Times the rate of before from which the script has raised it."""

RARE = 64
"""Steps after which a pass of a sound step is taped, if none was."""


@dataclass(frozen=True)
class Better:
    """Weights of before a step that do better on the batch of now: its loss with those of now, and with those then."""

    step: int
    weights: Sequence[Tensor]
    now: float
    then: float


class Comparison:
    """Compares the weights of a training with those that are kept, on the batches of now and on one of before.

    A loss that comes up may have come up because the data, the task or a penalty have become harder: then weights of
    before do no better. It may be that an earlier task has come back: then weights of before do better on its batches,
    and worse on those of the time in between. Only where they win back half of what was lost, on the batches of now and
    on the last one before it, it is the weights.

    Args:
        examiner: has the passes.
    """

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner

    def keep_sound(self, session: Session) -> None:
        """After a step was ruled on: keep the last pass from before the loss came up, and see that there is one."""
        kept, guard = self._examiner.examinable(session), session.guard
        if kept is None or not guard.level.at_check:
            return
        passes = self._examiner.passes
        if guard.elevated_for:
            if guard.lost_ground(soon=True):
                passes.wanted = max(ARMED, passes.wanted)
            return
        # What was taped since the check before may be of a change that shows in the level only now.
        kept.sound, kept.candidate = kept.candidate or kept.sound, []
        if passes.passes():
            kept.candidate, kept.candidate_step = passes.passes(), session.step
        elif session.step - kept.candidate_step > RARE:
            passes.wanted = max(1, passes.wanted)

    def better(self, session: Session, optimizer: Optimizer) -> Better | Literal[False] | None:
        """The newest weights kept, those of the start at last, that clearly do better.

        Returns:
            False if none do, although those of a snapshot were well better when it was taken; None if that cannot be
            known.
        """
        kept, level = self._examiner.examinable(session), session.guard.level
        passes, before = self._examiner.passes.passes(), self._examiner.passes.before()
        if kept is None or not passes or not level.known:
            return None
        batches, recent = [*passes, *before, *kept.sound], len(passes) + len(before)
        with quiet():
            now = losses_again(batches, session.params, session.names)
            if now is None:
                return None
            # Losses of clipped steps enter no level.
            now_at = max(level.level() or level.best, min(now[:recent]))
            gone = now_at - level.best
            refuted = []
            for step, weights in self._older(session, kept, optimizer):
                with with_weights(session.params, weights):
                    then = losses_again(batches, session.params, session.names)
                if then is None:
                    return None
                won = [loss - was for loss, was in zip(now, then, strict=True)]
                if all(each > PROVEN * gone for each in won):
                    return Better(step, weights, now[0], then[0])
                worse_before = any(each < -REFUTED * gone for each in won[recent:])
                refuted.append(min(won[:recent]) < REFUTED * gone or worse_before)
        were = [each.loss for each in session.recovery.ring.proven if each.loss is not None]
        known = any(now_at - loss > PROVEN * gone for loss in were)
        return False if known and refuted and all(refuted) else None

    def refutes(self, session: Session, optimizer: Optimizer) -> bool:
        """Whether no weights of before do better: then it is not the weights that have got worse."""
        return self.better(session, optimizer) is False

    def _older(self, session: Session, kept: Kept, optimizer: Optimizer) -> list[tuple[int, Sequence[Tensor]]]:
        """Weights that are kept, the newest first."""
        rates = [group.get("lr") for group in optimizer.param_groups]
        older: list[tuple[int, Sequence[Tensor], Sequence[Any]]] = [
            (each.step, each.params, each.rates) for each in reversed(session.recovery.ring.proven)
        ]
        if kept.fits(session) and kept.weights is not None:
            older.append((0, kept.weights, kept.rates))
        # A restart, to a rate that has done no harm before, costs what it costs, for a while.
        harmless = session.guard.rates.raised() < RAISED and not session.guard.level.above_start()
        return [
            (step, weights)
            for step, weights, had in older
            if len(weights) == len(session.params) and not (harmless and _raised(rates, had))
        ]


def _raised(now: Sequence[Any], before: Sequence[Any]) -> bool:
    """Whether the script has raised a learning rate since."""
    pairs = [(read_tensor_scalar(new), read_tensor_scalar(old)) for new, old in zip(now, before, strict=False)]
    return any(new is not None and old is not None and new > RAISED * old for new, old in pairs)
