"""Looks closely when an alarm is raised: that pass is computed again, and the first one, with the first weights."""

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.optim import Optimizer

from .._i18n import in_english, say
from .._readback import read_tensor_scalar
from .._snapshot import Room
from .._tap import ByHand, ClipTap, PassTap, ScalerTap, TapedPass, leaves_of, quiet
from ..evidence import Evidence, to_plain
from ..examination import Examination, Subject, examine, tensors_of_batch
from ..findings import SCALES, VANISHING, Finding
from ..guard import Raised
from ..measure.source_line import source_line
from ..records import Observation
from ..rules import Rule
from ..rules.attention import attention
from ..rules.data import data
from ..rules.depth import depth
from ..rules.head import head
from ..rules.learning_rate import learning_rate
from ..rules.loss_scale import loss_scale
from ..rules.recurrent import forgetful, recurrent
from ..rules.symmetric import symmetric
from ..rules.units import units
from . import symptoms
from .session import Reading, Session

MOST = 4
"""Examinations of one training; the first step that is not finite is examined beside them."""

APART = 64
"""Steps between two, but for a first alarm of what is not finite."""

ARMED = 16
"""Passes that are taped after an alarm, whatever that costs."""

LATEST = 8
"""Steps by which an alarm may be late."""

WORTH_SAYING = 2.0
"""Seconds of an examination that people notice."""

LOOKED_AT = 32
"""First steps at whose backward pass it is seen whether gradients lie there already; then one in 16."""

PILED = 12
"""Looks in a row at which all of the last gradient lay there, from which it is no accident."""

WHOLE = 0.02
"""By how much what lay there may differ from it."""

LEARNED = 0.75
"""The part of a guess's loss below which a classifier has learned."""

OWN_SCALE = 128.0
"""Power of two from which a number before a loss is a loss scale."""

REFRESHED = 64
"""Steps between two copies of the buffers, while nothing is wrong."""

MOST_BUFFERS = 1 << 20
"""Numbers in buffers of which copies are kept."""

CARRIED = 8
"""Latest such numbers that are kept."""


class Examiner:
    """Owns the tape, and decides what is worth a closer look.

    Args:
        clips: knows of the user's own clips.
        scaler: knows the gradient scaler.
        say: tells people one line.
        find_roots: finds the owners of some parameters.
        on_error: receives errors of ours.
        keep_batch: is given the samples of a batch that raised an alarm; None: nobody wants them.
    """

    def __init__(
        self,
        clips: ClipTap,
        scaler: ScalerTap,
        say: Callable[[str], None],
        find_roots: Callable[[Sequence[Tensor]], Sequence[nn.Module]],
        on_error: Callable[[BaseException], None],
        keep_batch: Callable[[int, Mapping[str, Tensor]], None] | None = None,
    ) -> None:
        self._keep_batch = keep_batch
        self._find_roots = find_roots
        self.passes = PassTap(on_error)
        self.passes.on_unseen = self.unseen
        self._clips = clips
        self._scaler = scaler
        self._say = say
        self._trainings: dict[int, _Training] = {}
        self._made_at: WeakKeyDictionary[Optimizer, tuple[str, int] | None] = WeakKeyDictionary()

    def unseen(self, loss: Tensor) -> None:
        """A loss came from no model that is followed: a copy in half precision, say. Those that it came from are."""
        self.passes.follow(self._find_roots(leaves_of(loss)))

    def built(self, optimizer: Optimizer, params: Sequence[Tensor], roots: Sequence[nn.Module]) -> None:
        """An optimizer was made: lie in wait for the first pass."""
        self._made_at[optimizer] = source_line()
        self.passes.follow(roots)
        owned = {id(param) for root in roots for param in root.parameters()}
        if not any(id(param) in owned for param in params):
            self.passes.follow_functions()

    def begin(self, session: Session, optimizer: Optimizer, room: Room, frame: FrameType | None) -> None:
        """An optimizer is about to make its first step: keep the first pass and the first weights, if there is room."""
        self.passes.follow(session.roots)
        training = self._trainings[session.index] = _Training(symptoms.largest(session.params))
        training.lines = {"optimizer": self._made_at.get(optimizer), "step": frame and source_line(frame)}
        if session.sharded or not session.alone or session.step:
            return
        size = sum(param.numel() * param.element_size() for param in session.params)
        if room.grant(-1 - session.index, size) < size:
            room.grant(-1 - session.index, 0)
            return
        if isinstance(optimizer, ByHand):
            training.weights, training.own_first = list(optimizer.first), False
            return
        training.first = self.passes.passes()
        training.own_first = bool(training.first)
        training.weights = [param.detach().clone() for param in session.params]
        training.buffers = _copies(session.roots)
        training.rates = [group.get("lr") for group in optimizer.param_groups]

    def backward(self, loss: Tensor) -> None:
        """A loss is about to be differentiated."""
        self.passes.conclude(loss)
        for training in self._trainings.values():
            training.look(loss, self._is_looked_at(training.step))

    def stepped(self, session: Session, reading: Reading, coefficient: float) -> None:
        """A step is over."""
        training = self._trainings.get(session.index)
        if training is not None and not training.own_first and not training.first:
            training.first = self.passes.passes()
        self.passes.stepped()
        if training is not None and training.step % REFRESHED == 0 and training.is_calm:
            for now, old in training.buffers:
                old.copy_(now)
        if training is not None:
            training.over(session.params, reading, coefficient)

    def remove(self) -> None:
        """Let go of everything."""
        self.passes.remove()
        self._trainings.clear()

    def suspect(self, session: Session) -> None:
        """This step is out of the ordinary; whether that is an alarm will be known some steps later."""
        training = self._trainings.get(session.index)
        if training is not None and self.passes.passes():
            training.suspects = {
                step: kept for step, kept in training.suspects.items() if step > session.step - LATEST
            } | {session.step: (self.passes.passes(), self.passes.before())}
            self.passes.wanted = ARMED

    def alarmed(
        self,
        session: Session,
        optimizer: Optimizer,
        alarms: Sequence[Raised],
        loss: float | None,
        norm: float,
        *,
        coefficient: float,
        inside: bool,
    ) -> list[Observation]:
        """An alarm was raised, before the step is made (or `inside` it, in its closure).

        Returns:
            What was seen, if it was worth a look.
        """
        training = self._trainings.get(session.index)
        if training is None or session.sharded or not session.alone:
            return []
        bad = not math.isfinite(norm) or (loss is not None and not math.isfinite(loss))
        if not training.due(session.step, bad):
            return []
        late = max((raised.late for raised in alarms), default=0)
        now = self.passes.passes(), self.passes.before()
        passes, before = training.suspects.get(session.step - late, now)
        if not passes and late == 1:
            passes, before = self.passes.before(), []
        self.passes.wanted = ARMED
        if passes or not training.missed:
            training.looked_at(session.step, bad)
        training.missed = max(0, training.missed - (not passes))
        began = time.perf_counter()
        seen = [self._observation(session, "symptoms", self._symptoms(session, training, coefficient))]
        with quiet(), in_english():
            found = examine(
                replace(
                    self._subject(session, None if inside else optimizer, passes, before, as_then=passes is now[0]),
                    bad=bad and passes is now[0],
                    broken=now[0] if bad and passes is not now[0] else (),
                    buffers=training.buffers,
                )
            )
            detail = _plain(found)
            detail["batch_before"] = found.batch_before
            detail["old_buffers"] = found.old_buffers
            if self._keep_batch is not None and found.taped is not None:
                self._keep_batch(session.step, tensors_of_batch(found.taped))
            seen.append(self._observation(session, "examination", detail))
            if session.step and training.first and training.fits(session) and not training.start_examined:
                training.start_examined = True
                with _weights(session.params, training.weights or ()), _fresh(optimizer, training.rates):
                    found = examine(self._subject(session, optimizer, training.first, (), as_then=training.own_first))
                seen.append(self._observation(session, "start", _plain(found)))
        if (took := time.perf_counter() - began) > WORTH_SAYING:
            self._say(
                say(
                    "step {step}: took {seconds:.0f} s to compute the pass again and see why",
                    step=session.step,
                    seconds=took,
                )
            )
        return seen

    def piled_up(self, session: Session) -> tuple[Raised, ...]:
        """An alarm, once, if the script never clears its gradients."""
        training = self._trainings.get(session.index)
        if training is None or training.piled < PILED or training.piled_told:
            return ()
        training.piled_told = True
        return (Raised("uncleared-gradient", {"carried": training.carried[-1], "steps": training.piled}),)

    def classifies(self, session: Session) -> bool:
        """Whether the loss is one of torch's for classes: a large one says something by itself."""
        training = self._trainings.get(session.index)
        return training is not None and any(each.classifies for each in training.first)

    def idle(self, session: Session, optimizer: Optimizer, *, inside: bool) -> tuple[list[Observation], list[Raised]]:
        """The loss does not fall: see whether a gradient that does not arrive is why.

        Returns:
            What was seen and the alarm, if it is; else nothing.
        """
        training = self._may_look(session)
        if training is None:
            return [], []
        if self.clips_scaled(session):
            training.looked_at(session.step, False)
            seen = [self._observation(session, "symptoms", self._symptoms(session, training))]
            return seen, [Raised("stalled", {"unreached": [], "clipped_before_unscale": self._clips.calls})]
        return self._look_for(session, optimizer, training, "stalled", vanishing, inside=inside)

    def clips_scaled(self, session: Session) -> bool:
        """Whether the script clips gradients while they are multiplied: by a scaler, or by a number of its own."""
        clips = self._clips
        by_scaler = bool(clips.scaled) and clips.scaled >= clips.calls / 2
        return by_scaler or (clips.calls >= session.step / 2 > 0 and self._own_scale() is not None)

    def _own_scale(self) -> float | None:
        """The loss scale that a script has written itself: a high power of two before the loss; None without one."""
        factors = [each.factor for each in self.passes.passes()]
        scales = [each for each in factors if each >= OWN_SCALE and math.frexp(each)[0] == 0.5]
        return scales[0] if scales else None

    def out_of_scale(
        self, session: Session, optimizer: Optimizer, *, inside: bool
    ) -> tuple[list[Observation], list[Raised]]:
        """Gradients are far larger than weights: see whether the first pass was unsound. Returns as `idle` does."""
        training = self._may_look(session)
        if training is None:
            return [], []
        return self._look_for(session, optimizer, training, "out-of-scale", amplifying, inside=inside)

    def above_start(
        self, session: Session, optimizer: Optimizer, *, inside: bool
    ) -> tuple[list[Observation], list[Raised]]:
        """The loss is far above where it began: see whether rate or scale is why. Returns as `idle` does."""
        training = self._may_look(session)
        if training is None:
            return [], []
        seen, raised = self._look_for(session, optimizer, training, "loss-divergence", destabilising, inside=inside)
        # What it goes back to has to be from before it was driven up.
        late = min(session.step, session.guard.level.steps_above_start)
        return seen, [replace(each, late=late) for each in raised]

    def _may_look(self, session: Session) -> "_Training | None":
        training = self._trainings.get(session.index)
        if training is None or session.sharded or not session.alone or training.idle_looks >= MOST:
            return None
        training.idle_looks += 1
        return training

    def _look_for(
        self,
        session: Session,
        optimizer: Optimizer,
        training: "_Training",
        detector: str,
        judge: Callable[[Evidence | None], Finding | None],
        *,
        inside: bool,
    ) -> tuple[list[Observation], list[Raised]]:
        """Examine the pass of now and the first one; an alarm only if a rule says why."""
        start = None
        with quiet(), in_english():
            now = examine(self._subject(session, None if inside else optimizer, self.passes.passes(), [], as_then=True))
            if training.first and training.fits(session):
                with _weights(session.params, training.weights or ()), _fresh(optimizer, training.rates):
                    start = examine(self._subject(session, optimizer, training.first, (), as_then=training.own_first))
        with in_english():  # it is recorded with the alarm
            found = (None if start is None else judge(start.evidence)) or judge(now.evidence)
        if found is None:
            return [], []
        seen = [
            self._observation(session, "symptoms", self._symptoms(session, training)),
            self._observation(session, "examination", _plain(now)),
        ]
        if start is not None:
            training.start_examined = True
            seen.append(self._observation(session, "start", _plain(start)))
        training.looked_at(session.step, False)
        detail = {"unreached": [found.where], "cause": found.cause, "why": found.summary}
        known = [_stable_factor(each.evidence) for each in (start, now) if each is not None]
        if detector == "loss-divergence" and any(known):
            detail["stable_factor"] = min(filter(None, known))
        return seen, [Raised(detector, {**detail, "first_loss": session.stall.first})]

    def _subject(
        self,
        session: Session,
        optimizer: Optimizer | None,
        passes: Sequence[TapedPass],
        before: Sequence[TapedPass],
        *,
        as_then: bool,
    ) -> Subject:
        return Subject(passes, before, optimizer, session.params, session.names, self.passes.why_not, as_then)

    def _symptoms(self, session: Session, training: "_Training", coefficient: float = 1.0) -> dict[str, Any]:
        scaler, optimizer = self._scaler.scaler, session.ref()
        assert optimizer is not None
        own_scale = self._own_scale() if scaler is None and self._clips.calls else None
        passes = self.passes.passes() or training.first
        lines = {**training.lines, **(passes[-1].lines if passes else {})}
        return {
            "groups": symptoms.rates(optimizer),
            "second_moment_ratio": symptoms.lag(optimizer, coefficient),
            "moments": symptoms.moments(optimizer),
            "variances": symptoms.variances(session.roots),
            "carried": training.carried,
            "clips": {
                "calls": self._clips.calls,
                "scaled": self._clips.calls if own_scale is not None else self._clips.scaled,
                "last": self._clips.last,
            },
            "scale": own_scale if scaler is None else read_tensor_scalar(getattr(scaler, "_scale", None)),
            "backward_passes": training.backwards,
            "weight_norm": session.sampler.weight_norm,
            "along": session.along,
            "lines": {name: _said(line) for name, line in lines.items()},
        }

    def _observation(self, session: Session, kind: str, detail: dict[str, Any]) -> Observation:
        return Observation(session.index, session.step, kind, detail)

    def _is_looked_at(self, step: int) -> bool:
        return step < LOOKED_AT or step % 16 == 0


class _Training:
    """What is kept of one optimizer's training."""

    def __init__(self, largest: list[Tensor]) -> None:
        self._largest = largest
        self._entries: list[Tensor | None] = []
        self._width = 0
        self._places: list[int] = []
        self._are_leaves: bool | None = None
        self.piled = 0
        self.piled_told = False
        self._fresh = True
        self._norm_before: float | None = None
        self.first: list[TapedPass] = []
        self.weights: list[Tensor] | None = None
        self.rates: list[Any] = []
        self.buffers: list[tuple[Tensor, Tensor]] = []
        self.own_first = True
        self.lines: dict[str, tuple[str, int] | None] = {}
        self.start_examined = False
        self.missed = ARMED
        self.idle_looks = 0
        self.suspects: dict[int, tuple[Sequence[TapedPass], Sequence[TapedPass]]] = {}
        self.step = 0
        self.backwards = 0
        self.carried: list[float] = []
        self._examined = 0
        self._last = -APART
        self._bad_seen = False

    def fits(self, session: Session) -> bool:
        """Whether the first weights are kept, and are still those of all parameters: groups may have been added."""
        return self.weights is not None and len(self.weights) == len(session.params)

    @property
    def is_calm(self) -> bool:
        """Whether nothing has been worth a look yet."""
        return not self._examined

    def due(self, step: int, bad: bool) -> bool:
        return (self._examined < MOST and step - self._last >= APART) or (bad and not self._bad_seen)

    def looked_at(self, step: int, bad: bool) -> None:
        self._examined += 1
        self._last = step
        self._bad_seen = self._bad_seen or bad

    def look(self, loss: Tensor, wanted: bool) -> None:
        """A backward pass begins: do gradients lie there already, of weights that it will add to?"""
        self.backwards += 1
        if wanted and self.step and self._are_leaves is None:
            reached = set(map(id, leaves_of(loss)))
            self._are_leaves = any(id(param) in reached for param in self._largest)
        wanted = wanted and bool(self._are_leaves)
        # At every one of a step's: where two trainings alternate, another's pass goes by before gradients are cleared.
        if wanted and self.step:
            self._entries.append(symptoms.grads_lying_there(self._largest))
        if self._fresh:
            self.backwards, self._fresh = 1, False

    def over(self, params: Sequence[Tensor], reading: Reading, coefficient: float) -> None:
        """A step is over: compare what lay there with the gradients of the step before it."""
        if len(params) != self._width:
            self._width, wanted = len(params), {id(param) for param in self._largest}
            self._places = [place for place, param in enumerate(params) if id(param) in wanted]
        own = [norm for place in self._places if (norm := reading.norms[place]) >= 0]
        if self._entries and self._norm_before:
            lay = min(0.0 if each is None else read_tensor_scalar(each) or 0.0 for each in self._entries)
            self.carried = [*self.carried, lay / self._norm_before][-CARRIED:]
            self.piled = self.piled + 1 if abs(self.carried[-1] - 1.0) < WHOLE else 0
        self._norm_before = coefficient * math.sqrt(sum(float(norm) ** 2 for norm in own)) or None
        self._entries = []
        self._fresh = True
        self.step += 1


@contextmanager
def _weights(params: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Inside, the parameters have these values. What a graph has saved of them is not told."""
    kept = [param.detach().clone() for param in params]
    try:
        for param, value in zip(params, values, strict=True):
            param.data.copy_(value)
        yield
    finally:
        for param, value in zip(params, kept, strict=True):
            param.data.copy_(value)


@contextmanager
def _fresh(optimizer: Optimizer | None, rates: Sequence[Any]) -> Iterator[None]:
    """Inside, an optimizer has made no step, and has these rates."""
    if optimizer is None:
        yield
        return
    state, now = optimizer.state, [group.get("lr") for group in optimizer.param_groups]
    optimizer.state = defaultdict(dict)
    try:
        _set_rates(optimizer, rates)
        yield
    finally:
        optimizer.state = state
        _set_rates(optimizer, now)


def _copies(roots: Sequence[nn.Module]) -> list[tuple[Tensor, Tensor]]:
    """Buffers with copies of what they hold; none if they are large."""
    buffers = [each for root in roots for each in root.buffers() if each.is_floating_point()]
    if sum(each.numel() for each in buffers) > MOST_BUFFERS:
        return []
    return [(each, each.detach().clone()) for each in buffers]


def _set_rates(optimizer: Optimizer, rates: Sequence[Any]) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=False):
        if "lr" in group:
            group["lr"] = rate


def vanishing(evidence: Evidence | None) -> Finding | None:
    """What keeps the gradient from arriving, by the rules of the check."""
    if evidence is None or _has_learned(evidence):  # attention that is sharp may have been trained to be
        return _surest(evidence, (units, depth, forgetful, symmetric), VANISHING)
    return _surest(evidence, (units, depth, forgetful, symmetric, attention), VANISHING | {"attention-logits"})


def _has_learned(evidence: Evidence) -> bool:
    """Whether a loss for classes is well below that of a guess."""
    return any(each.mean_loss < LEARNED * math.log(each.classes) for each in evidence.base.losses if each.classes > 1)


def amplifying(evidence: Evidence | None) -> Finding | None:
    """What makes the first gradients as large as they are, by the rules of the check."""
    return _surest(evidence, (head, depth, recurrent, data, loss_scale), SCALES)


def destabilising(evidence: Evidence | None) -> Finding | None:
    """What makes a loss rise, by the rules of the check."""
    return _surest(evidence, (head, depth, recurrent, data, loss_scale, learning_rate), SCALES | {"learning-rate"})


def _stable_factor(evidence: Evidence | None) -> float | None:
    """The part of the learning rate at which a few steps on one batch did no harm, if at the whole of it they did."""
    found = _surest(evidence, (learning_rate,), {"learning-rate"})
    return None if found is None else found.evidence.get("stable_factor")


def _surest(evidence: Evidence | None, rules: Sequence[Rule], causes: Set[str]) -> Finding | None:
    said = (each for rule in rules if evidence is not None for each in rule(evidence))
    found = [each for each in said if isinstance(each, Finding) and each.cause in causes]
    return max(found, key=lambda each: each.confidence, default=None)


def _said(line: tuple[str, int] | None) -> str | None:
    return None if line is None else f"{os.path.abspath(line[0])}:{line[1]}"


def _plain(found: Examination) -> dict[str, Any]:
    evidence = None if found.evidence is None else to_plain(found.evidence)
    return {
        "evidence": evidence,
        "numbers": found.numbers,
        "batch": found.batch,
        "samples": found.samples,
        "problem": found.problem,
        "seconds": found.seconds,
    }
