"""Looks at a run although no step of it stands out: it learns nothing, is driven up, has lost what it had learned."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from .._i18n import in_english
from .._tap import quiet
from ..evidence import Evidence
from ..examination import examine, with_weights
from ..findings import Finding
from ..guard import Raised, Ruling
from ..records import DRIFTS, Observation
from ..rules.half import overflowing
from .comparison import Comparison
from .examiner import Examiner
from .guesses import IGNORES, Guesses
from .judges import (
    amplifying,
    destabilising,
    faded,
    hopeless,
    overconfident,
    shut,
    stable_factor,
    surest,
    vanishing,
)
from .kept import Kept, with_fresh_state
from .session import Reading, Session
from .symptoms import unmatched

PILED = 12
"""Looks in a row at which all of the last gradient lay there, from which it is no accident."""

SLOWLY = 0.25
"""The part of a loss that a training has to have lost where its clips cut gradients of a scaled loss."""

KNOWS = 1.0
"""The same, above which a model knows its samples, whatever it has learned since its optimizer was made."""

SAME = 0.01
"""The part of outputs that differs from sample to sample, below which they are the same."""

IMPOSSIBLE = 0.1
"""Part of the moments that came with an optimizer from which they are an alarm: a few may have been rounded away."""

Seen = tuple[list[Observation], list[Raised]]
"""What was seen, and the alarms if it is one; both empty if not."""


def _any(evidence: Evidence | None) -> bool:
    """Every pass concerns us."""
    return True


class Looks:
    """Decides when a training is looked at without an alarm, and whether what is seen is one.

    Args:
        examiner: has the passes, and computes them again.
        unmended: leaves out alarms about what is being put right already.
        eager: whether in a training a loss that has not begun to fall is reason enough for a look at the first pass,
            long before it would be called stalled: where something can be done about it, each step that is lost counts.
    """

    def __init__(
        self,
        examiner: Examiner,
        unmended: Callable[[Sequence[Raised]], list[Raised]] = list,
        *,
        eager: Callable[[Session], bool] = lambda session: False,
    ) -> None:
        self._examiner = examiner
        self._unmended = unmended
        self._eager = eager
        self.comparison = Comparison(examiner)
        self._guesses = Guesses(examiner)

    def look(
        self,
        session: Session,
        optimizer: Optimizer,
        reading: Reading,
        ruling: Ruling,
        loss: float | None,
        *,
        inside: bool,
    ) -> Seen:
        """Look at a step that was ruled on, at a few steps of a run at the most.

        Args:
            session: the training.
            optimizer: its own.
            reading: the step's gradients.
            ruling: what was decided.
            loss: of the step, if it is known.
            inside: whether the step is made already, and this is its closure.
        """
        examiner, stall, guard = self._examiner, session.stall, session.guard
        found = list(session.stalled(reading, loss))
        seen: list[Observation] = []
        if not found and not ruling.alarms:
            look = self._due(session, reading)
            if look is not None:
                seen, raised = look(session, optimizer, inside=inside)
                found = self._unmended(raised)
                if found and look != self._idle_from_the_start:  # whether that was enough is asked again later
                    stall.told()
            elif session.recovery.incident is None and guard.lost_ground():
                seen, raised = self._lost_ground(session, optimizer, inside=inside)
                found = self._unmended(raised)
                if found:
                    guard.told_lost_ground()
        if ruling.action == "" and not ruling.alarms:  # what was left out is no sound pass
            self.comparison.keep_sound(session)
        if stall.looks_next():
            examiner.passes.wanted = max(1, examiner.passes.wanted)
        lying, piled = self._piled_up(session)
        came, damaged = self._came_damaged(session, optimizer)
        back, undone = self._undone(session, optimizer)
        return [*seen, *lying, *came, *back], [*found, *piled, *damaged, *undone]

    def without_refuted(self, session: Session, optimizer: Optimizer, ruling: Ruling) -> Ruling:
        """The ruling without alarms about a loss that has come up, where it is not the weights that have got worse."""
        if session.guard.level.is_beyond_tasks() or not self.comparison.refutes(session, optimizer):
            return ruling
        session.guard.dismiss()
        return replace(ruling, alarms=tuple(each for each in ruling.alarms if each.detector not in DRIFTS))

    def is_gone(self, session: Session) -> bool:
        """Whether what keeps a model from learning is seen no more, in the last pass on tape with the weights now."""
        kept, passes = self._examiner.examinable(session), self._examiner.passes.before()
        if kept is None or not passes:
            return False
        with quiet(), in_english(), kept.looking():
            now = examine(self._examiner.subject(session, None, passes, [], as_then=False)).evidence
        return now is not None and now.base.finite and faded(now) is None and hopeless(now) is None

    def _due(self, session: Session, reading: Reading) -> "Callable[..., Seen] | None":
        """The look that is to be taken at this step, if one is."""
        examiner = self._examiner
        clipped = session.stall.is_time_to_look() and examiner.clips_scaled(session)
        if session.above_start():  # the more so where gradients are out of scale by now
            return self._above_start
        if (not clipped and session.out_of_scale(reading.norm)) or self._guesses.is_loud(session, reading):
            return self._out_of_scale
        eager = not session.rate_rises and self._eager(session)
        if eager and (session.idle_from_the_start() or self._guesses.was_loud(session)):
            return self._idle_from_the_start
        if self._guesses.is_overconfident(session):
            return self._overconfident
        least = SLOWLY if examiner.clips.scaled or clipped else None
        if session.idle(least) or session.cut_off(reading):
            return self._idle
        if session.flat() and self._guesses.says_nothing(session):
            return self._idle
        return self._at_rest if session.rests() else None

    def _piled_up(self, session: Session) -> Seen:
        """An alarm, once, if the script clears its gradients no more."""
        kept = self._examiner.kept(session)
        if kept is None or kept.piled < PILED or kept.piled_told:
            return [], []
        kept.piled_told = True
        detail = {"carried": kept.carried[-1], "steps": kept.piled}
        return [self._examiner.symptoms(session, kept)], [Raised("uncleared-gradient", detail)]

    def _came_damaged(self, session: Session, optimizer: Optimizer) -> Seen:
        """An alarm if moments that came with an optimizer are none that any gradients have made: a checkpoint is not
        what it was."""
        if not session.resumed or session.step > 0 or (kept := self._examiner.kept(session)) is None:
            return [], []
        share = unmatched(optimizer)
        if share is None or not share > IMPOSSIBLE:
            return [], []
        return [self._examiner.symptoms(session, kept)], [Raised("impossible-moments", {"share": share})]

    def _undone(self, session: Session, optimizer: Optimizer) -> Seen:
        """An alarm, once, if somebody puts the weights back again and again, and moments of others stay as they are."""
        if not session.undone.gains_nothing() or (kept := self._examiner.kept(session)) is None:
            return [], []
        known = (state.values() for state in optimizer.state.values() if isinstance(state, dict))
        if not any(isinstance(value, Tensor) for values in known for value in values):
            return [], []
        first, last, steps = session.undone.cycle()
        detail = {"loss": last, "loss_put_back": first, "steps": steps}
        return [self._examiner.symptoms(session, kept)], [Raised("undone-steps", detail)]

    def _at_rest(self, session: Session, optimizer: Optimizer, *, inside: bool) -> Seen:
        """The loss falls no more: see whether the model says the same of all samples, and why."""
        kept = self._examiner.examinable(session)
        if kept is None or not self._examiner.passes.passes() or not kept.has_time_to_look():
            return [], []
        known = self._guesses.known_of_samples(session, kept)
        same = known is not None and known < IGNORES
        again, kept.same_before = kept.same_before, same
        if known is not None and not same:
            return [], []
        if kept.may_look():
            provided = _any if same else _says_the_same
            seen, raised = self._look_for("stalled", faded, session, optimizer, kept, inside=inside, provided=provided)
            if raised:
                return seen, raised
        if not (same and again and session.replaced()):
            return [], []
        return self._stalled(session, kept, ignores_samples=True)

    def _idle(self, session: Session, optimizer: Optimizer, *, inside: bool) -> Seen:
        """The loss does not fall: see whether a gradient that does not arrive is why."""
        examiner, kept = self._examiner, self._examiner.examinable(session)
        if kept is None or not kept.may_look():
            return [], []
        if examiner.clips_scaled(session):
            return self._stalled(session, kept, clipped_before_unscale=examiner.clips.calls)
        if session.rounds_away():
            return self._stalled(session, kept, rounded_away=session.sampler.rounded_away)
        known = self._guesses.known_of_samples(session, kept)
        if known is not None and known > KNOWS:  # as where a trained model is tuned
            return [], []
        learns_nothing = kept.last_norm == 0.0 or (known is not None and known < IGNORES)
        judge = faded if learns_nothing else vanishing
        return self._look_for("stalled", judge, session, optimizer, kept, inside=inside)

    def _stalled(self, session: Session, kept: Kept, **why: Any) -> Seen:
        """The alarm where nothing has to be computed to know why the loss does not fall."""
        kept.looked_at(session.step, False)
        detail = {"unreached": [], "first_loss": session.stall.first, **why}
        return [self._examiner.symptoms(session, kept)], [Raised("stalled", detail)]

    def _idle_from_the_start(self, session: Session, optimizer: Optimizer, *, inside: bool) -> Seen:
        """The loss has not begun to fall, or only to that of a guess, from which the first steps have thrown it: see
        whether the first pass was one that nothing can be learned from."""
        kept, examiner = self._examiner.examinable(session), self._examiner
        if kept is None or kept.start_asked:
            return [], []
        kept.start_asked = True
        if examiner.clips_scaled(session):
            return self._stalled(session, kept, clipped_before_unscale=examiner.clips.calls)
        with quiet(), in_english(), kept.looking():
            start = examiner.examine_start(session, optimizer, kept, steps=False)
            found = None if start is None else hopeless(start.evidence)
            if start is not None and found is None and self._guesses.was_loud(session):
                found = amplifying(start.evidence)
            if start is None or found is None:
                return [], []
            start = examiner.examine_start(session, optimizer, kept) or start
        kept.looked_at(session.step, False)
        detail = {"unreached": [found.where], "cause": found.cause, "why": found.summary}
        return self._examiner.seen_first(session, kept, start), [Raised("stalled", detail)]

    def _out_of_scale(self, session: Session, optimizer: Optimizer, *, inside: bool) -> Seen:
        """Gradients are far larger than weights: see whether the first pass was unsound."""
        kept = self._examiner.examinable(session)
        if kept is None or not kept.may_look():
            return [], []
        return self._look_for("out-of-scale", amplifying, session, optimizer, kept, inside=inside)

    def _overconfident(self, session: Session, optimizer: Optimizer, *, inside: bool) -> Seen:
        """A loss of classes is above that of a guess: see whether it began far above it, and why."""
        kept, examiner = self._examiner.examinable(session), self._examiner
        if kept is None:
            return [], []
        with quiet(), in_english(), kept.looking():
            start = examiner.examine_start(session, optimizer, kept, steps=False)
            found = None if start is None else overconfident(start.evidence)
            if start is None or found is None:
                return [], []
        kept.looked_at(session.step, False)
        detail = {"unreached": [found.where], "cause": found.cause, "why": found.summary}
        seen = examiner.seen_first(session, kept, start)
        return seen, [Raised("out-of-scale", {**detail, "first_loss": session.stall.first})]

    def _above_start(self, session: Session, optimizer: Optimizer, *, inside: bool) -> Seen:
        """The loss is far above where it began: see whether rate or scale is why."""
        kept = self._examiner.examinable(session)
        if kept is None:
            return [], []
        seen, raised = list[Observation](), list[Raised]()
        if kept.may_look():
            seen, raised = self._look_for("loss-divergence", destabilising, session, optimizer, kept, inside=inside)
        if not raised and session.stall.runs_away(session.guard.level):
            detail = {"first_loss": session.stall.first}
            return [self._examiner.symptoms(session, kept)], [Raised("loss-divergence", detail)]
        # What it goes back to has to be from before it was driven up.
        late = min(session.step, session.guard.level.steps_above_start)
        return seen, [replace(each, late=late) for each in raised]

    def _look_for(
        self,
        detector: str,
        judge: Callable[[Evidence | None], Finding | None],
        session: Session,
        optimizer: Optimizer,
        kept: Kept,
        *,
        inside: bool,
        provided: Callable[[Evidence | None], bool] = _any,
    ) -> Seen:
        """Examine the pass of now and the first one; an alarm only if a rule says why, `provided` that it concerns us.

        Curvature and steps, which take most of the time, are measured where the rules ask for them (those of scales and
        rates do), or have found something. A first pass that a rule has cleared stays so.
        """
        examiner = self._examiner
        passes = examiner.passes.passes()
        stepping = None if inside else optimizer
        steps = judge not in (vanishing, faded)
        with quiet(), in_english(), kept.looking():  # it is recorded with the alarm, in English
            now = examine(examiner.subject(session, stepping if steps else None, passes, [], as_then=True))
            if not provided(now.evidence):
                return [], []
            start = None
            if judge not in kept.cleared:
                start = examiner.examine_start(session, optimizer, kept, steps=steps)
            found = (None if start is None else judge(start.evidence)) or shut(judge(now.evidence))
            if found is None:
                kept.cleared.add(judge)
                return [], []
            if not steps:
                now = examine(examiner.subject(session, stepping, passes, [], as_then=True))
                start = examiner.examine_start(session, optimizer, kept)
        kept.looked_at(session.step, False)
        detail = {"unreached": [found.where], "cause": found.cause, "why": found.summary}
        if judge is faded:
            detail["ignores_samples"] = True
        known = [stable_factor(each.evidence) for each in (start, now) if each is not None]
        if detector == "loss-divergence" and any(known):
            detail["stable_factor"] = min(filter(None, known))
        seen = [examiner.symptoms(session, kept), *examiner.seen(session, kept, now, start)]
        return seen, [Raised(detector, {**detail, "first_loss": session.stall.first})]

    def _lost_ground(self, session: Session, optimizer: Optimizer, *, inside: bool) -> Seen:
        """The loss has come up and stays there: see whether weights of before do better on the batches of now.

        If they do, it is not that data, task or penalty have become harder: the run has lost what it had learned.
        """
        examiner, kept = self._examiner, self._examiner.examinable(session)
        passes = examiner.passes.passes()
        if kept is None or not passes or not kept.may_compare(session.step):
            return [], []
        better = self.comparison.better(session, optimizer)
        if not better:
            return [], []
        rates = [group.get("lr") for group in optimizer.param_groups]
        with quiet(), in_english():
            with with_weights(session.params, better.weights), with_fresh_state(optimizer, rates):
                broke = examine(examiner.subject(session, None if inside else optimizer, passes, [], as_then=False))
            now = examine(examiner.subject(session, None, passes, [], as_then=True))
            start = None if kept.start_examined else examiner.examine_start(session, optimizer, kept)
        kept.looked_at(session.step, False)
        detail: dict[str, Any] = {"loss": better.now, "loss_then": better.then, "weights_of": better.step}
        with in_english():
            found = destabilising(broke.evidence)
        if found is not None:
            detail |= {"cause": found.cause, "why": found.summary}
        known = [stable_factor(each.evidence) for each in (broke, start) if each is not None]
        if any(known):
            detail["stable_factor"] = min(filter(None, known))
        seen = [examiner.symptoms(session, kept), *examiner.seen(session, kept, broke, start, weights_of=better.step)]
        if surest(now.evidence, (overflowing,), {"half-overflow"}):  # what the weights have grown out of
            seen += examiner.seen(session, kept, now, None)
        late = max(1, min(session.guard.elevated_for, session.step - better.step))
        return seen, [Raised("loss-divergence", {**detail, "first_loss": session.stall.first}, late=late)]


def _says_the_same(evidence: Evidence | None) -> bool:
    """Whether outputs hardly differ from sample to sample."""
    return evidence is not None and evidence.base.output_spread < SAME
