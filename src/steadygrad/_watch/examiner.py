"""Looks closely when an alarm is raised: that pass is computed again, and the first one, with the first weights."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.optim import Optimizer

from .._i18n import in_english, say
from .._readback import read_tensor_scalar
from .._snapshot import Room
from .._tap import ByHand, ClipTap, PassTap, ScalerTap, TapedPass, is_loss_scale, leaves_of, quiet
from ..evidence import to_plain
from ..examination import Examination, Subject, examine, tensors_of_batch, with_weights
from ..guard import Raised
from ..measure.preconditioner import family, inner
from ..measure.source_line import source_line
from ..records import Observation
from . import symptoms
from .kept import ARMED, Kept, copies, with_fresh_state
from .session import Reading, Session

LATEST = 8
"""Steps by which an alarm may be late."""

WORTH_SAYING = 2.0
"""Seconds of an examination that people notice."""

LOOKED_AT = 32
"""First steps at whose backward pass it is seen whether gradients lie there already."""

LOOKED_EVERY = 16
"""Steps of which one is looked at so later: a script may begin to forget it at any time, in a second loop, say."""

NEVER = 0.01
"""A norm to which nobody clips; its inverse is one too."""

CLIPPED = 2.0
"""Times the limit of a clip that gradients may be long behind it: that of others is counted with them."""

SQUARES = frozenset({"Adam", "RMSprop"})
"""Optimizers whose steps are divided by the size of gradients."""

REFRESHED = 64
"""Steps between two copies of the buffers, while nothing is wrong."""


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
        self.clips = clips
        self._scaler = scaler
        self._say = say
        self._kept: dict[int, Kept] = {}
        self._backwards = 0
        """Backward passes since the last step: those before the first one of a training are of nobody that is kept."""
        self._made_at: WeakKeyDictionary[Optimizer, tuple[str, int] | None] = WeakKeyDictionary()

    def unseen(self, loss: Tensor) -> None:
        """A loss came from no model that is followed: a copy in half precision, say. Those that it came from are.

        Or from one that nobody calls as such: a LightningModule's `training_step`, a flow's `forward_kld`.
        """
        self.passes.follow(self._find_roots(leaves_of(loss)))
        self.passes.follow_parts()

    def built(self, optimizer: Optimizer, params: Sequence[Tensor], roots: Sequence[nn.Module]) -> None:
        """An optimizer was made: lie in wait for the first pass."""
        self._made_at[optimizer] = source_line()
        self.passes.follow(roots)
        owned = {
            id(param) for root in roots for part in root.modules() if _is_called(part) for param in part.parameters()
        }
        if not any(id(param) in owned for param in params):
            self.passes.follow_functions()

    def begin(self, session: Session, optimizer: Optimizer, room: Room, frame: FrameType | None) -> None:
        """An optimizer is about to make its first step: keep the first pass and the first weights, if there is room."""
        self.passes.follow(session.roots)
        training = self._kept[session.index] = Kept(symptoms.largest(session.params))
        training.lines = {"optimizer": self._made_at.get(optimizer), "step": frame and source_line(frame)}
        training.backwards = self._backwards
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
        training.buffers = copies(session.roots)
        training.rates = [group.get("lr") for group in optimizer.param_groups]

    def backward(self, loss: Tensor, *, adds: bool = True) -> None:
        """A loss is about to be differentiated; its gradient `adds` to what lies there, or is given to the script."""
        self.passes.conclude(loss)
        self._backwards += adds
        if adds:
            for training in self._kept.values():
                training.look(loss, self._is_looked_at(training))

    def stepped(self, session: Session, reading: Reading, coefficient: float) -> None:
        """A step is over."""
        self._backwards = 0
        training = self._kept.get(session.index)
        if training is not None:
            self._keep_first(training)
        self.passes.stepped()
        if training is not None and training.step % REFRESHED == 0 and training.is_calm:
            for now, old in training.buffers:
                old.copy_(now)
        if training is not None:
            training.over(session.params, reading, coefficient)

    def _keep_first(self, training: Kept) -> None:
        """Of updates that a script makes itself no pass is seen at first: the next one stands for the first."""
        if not training.own_first and not training.first:
            training.first = self.passes.passes()

    def remove(self) -> None:
        """Let go of everything."""
        self.passes.remove()
        self._kept.clear()

    def suspect(self, session: Session) -> None:
        """This step is out of the ordinary; whether that is an alarm will be known some steps later."""
        training = self._kept.get(session.index)
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
        training = self._kept.get(session.index)
        if training is None or session.sharded or not session.alone:
            return []
        self._keep_first(training)
        bad = not math.isfinite(norm) or (loss is not None and not math.isfinite(loss))
        if not training.due(session.step, bad):
            return []
        training.alarmed_at = training.step
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
        seen = [self.symptoms(session, training, coefficient)]
        with quiet(), in_english():
            found = examine(
                replace(
                    self.subject(session, None if inside else optimizer, passes, before, as_then=passes is now[0]),
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
            if session.step and not training.start_examined:
                start = self.examine_start(session, optimizer, training)
                seen += [] if start is None else [self._start(session, training, start)]
        if (took := time.perf_counter() - began) > WORTH_SAYING:
            self._say(
                say(
                    "step {step}: took {seconds:.0f} s to compute the pass again and see why",
                    step=session.step,
                    seconds=took,
                )
            )
        return seen

    def clips_scaled(self, session: Session) -> bool:
        """Whether the script clips gradients while they are multiplied: by a scaler, or by a number of its own."""
        clips = self.clips
        by_scaler = bool(clips.scaled) and clips.scaled >= clips.calls / 2
        by_hand = clips.calls >= session.step / 2 > 0 and self._own_scale(session) is not None
        return by_scaler or by_hand or self._cut_at(session) is not None

    def _cut_at(self, session: Session) -> float | None:
        """The loss scale at which a script cuts gradients in lines of its own, where no function of torch's is seen.

        All come at one length: they are cut, at every step. And nobody cuts to a hundredth; to a limit of one or so,
        divided by the scale afterwards, they do.
        """
        training = self.kept(session)
        if training is None or session.by_hand or not training.same_norms >= session.step / 2 > 0:
            return None
        scaler = self._scaler.scaler
        scale = self._written_scale() if scaler is None else self._scale_of(scaler)
        norm = training.last_norm
        return scale if scale is not None and norm < NEVER < scale * norm < 1.0 / NEVER else None

    def _written_scale(self) -> float | None:
        """The high power of two that a script has written before its loss."""
        return next((each.factor for each in self.passes.passes() if is_loss_scale(each.factor)), None)

    def _own_scale(self, session: Session) -> float | None:
        """The loss scale that a script has written itself and clips under: a high power of two before the loss.

        None without one, and where the clip has met gradients that the script had divided already: those may be as long
        as its limit at the step, the others no longer than the limit divided by the scale: of gradients of zeros nobody
        knows. Nor of updates by hand, where in their line they divide.
        """
        scale = self._written_scale()
        if scale is None or session.by_hand:
            return scale
        training = self.kept(session)
        norm = math.inf if training is None else training.last_norm
        return scale if 0.0 < norm <= CLIPPED * self.clips.longest / scale else None

    def kept(self, session: Session) -> Kept | None:
        """What is kept of a training, if it is followed."""
        return self._kept.get(session.index)

    def examinable(self, session: Session) -> Kept | None:
        """The same, of a training whose passes can be examined: whole, and the only one of its kind."""
        return None if session.sharded or not session.alone else self.kept(session)

    def examine_start(
        self, session: Session, optimizer: Optimizer, kept: Kept, *, steps: bool = True
    ) -> Examination | None:
        """The first pass, with the first weights; None if they are not kept. Without `steps` none is tried."""
        if not kept.first or not kept.fits(session):
            return None
        with with_weights(session.params, kept.weights or ()), with_fresh_state(optimizer, kept.rates):
            stepping = optimizer if steps else None
            return examine(self.subject(session, stepping, kept.first, (), as_then=kept.own_first))

    def first_pass(self, session: Session) -> TapedPass | None:
        """The first pass of a training, if it is kept."""
        kept = self.kept(session)
        return kept.first[-1] if kept is not None and kept.first else None

    def seen(
        self, session: Session, kept: Kept, now: Examination, start: Examination | None, **detail: Any
    ) -> list[Observation]:
        """What was seen of a pass, and of the first one, for the recording."""
        seen = [self._observation(session, "examination", {**_plain(now), **detail})]
        return seen if start is None else [*seen, self._start(session, kept, start)]

    def seen_first(self, session: Session, kept: Kept, start: Examination) -> list[Observation]:
        """The same of the first pass alone."""
        return [self.symptoms(session, kept), self._start(session, kept, start)]

    def _start(self, session: Session, kept: Kept, start: Examination) -> Observation:
        kept.start_examined = True
        return self._observation(session, "start", _plain(start))

    def subject(
        self,
        session: Session,
        optimizer: Optimizer | None,
        passes: Sequence[TapedPass],
        before: Sequence[TapedPass],
        *,
        as_then: bool,
    ) -> Subject:
        """Passes, and what they belong to; `as_then` says that the weights are theirs."""
        why_not, longest = self.passes.why_not, self._longest(session, optimizer)
        return Subject(passes, before, optimizer, session.params, session.names, why_not, as_then, longest=longest)

    def _longest(self, session: Session, optimizer: Optimizer | None) -> float:
        """How long gradients are that the second moments know: a script that has clipped them to a thousandth would
        step a thousand times too far along one that is not clipped. Moments that are yet to come go with any scale."""
        if optimizer is None or family(optimizer) not in SQUARES or not inner(optimizer).state:
            return math.inf
        clips = self.clips
        used = clips.calls >= session.step > 0 and not self.clips_scaled(session)
        return clips.longest_of(session.params) if used else math.inf

    def symptoms(self, session: Session, training: Kept, coefficient: float = 1.0) -> Observation:
        """What lies there without computing anything."""
        return self._observation(session, "symptoms", self._symptoms(session, training, coefficient))

    def _symptoms(self, session: Session, training: Kept, coefficient: float) -> dict[str, Any]:
        scaler, optimizer = self._scaler.scaler, session.ref()
        assert optimizer is not None
        written = [each.factor for each in (*self.passes.passes(), *training.first) if is_loss_scale(each.factor)]
        passes = self.passes.passes() or training.first
        lines = {**training.lines, **(passes[-1].lines if passes else {})}
        return {
            "groups": symptoms.rates(optimizer),
            "second_moment_ratio": symptoms.lag(optimizer, coefficient),
            "moments": symptoms.moments(optimizer),
            "unmatched_moments": symptoms.unmatched(optimizer),
            "variances": symptoms.variances(session.roots),
            "uncollected": symptoms.uncollected(session.roots),
            "carried": training.carried,
            **self._clipping(session, training),
            "own_scale": max(written, default=None) if scaler is None and not session.by_hand else None,
            "backward_passes": training.backwards,
            "weight_norm": session.sampler.weight_norm,
            "along": session.along,
            "lines": {name: _said(line) for name, line in lines.items()},
        }

    def _clipping(self, session: Session, training: Kept) -> dict[str, Any]:
        """The script's clips, by torch's functions or in lines of its own, and the loss scale, if they meet one."""
        clips, scaler = self.clips, self._scaler.scaler
        if not clips.calls and (scale := self._cut_at(session)) is not None:
            limit = scale * training.last_norm
            return {"clips": {"calls": training.step, "scaled": training.step, "last": (limit, None)}, "scale": scale}
        own = self._own_scale(session) if scaler is None and clips.calls else None
        scaled = clips.calls if own is not None else clips.scaled
        scale = own if scaler is None else self._scale_of(scaler)
        return {"clips": {"calls": clips.calls, "scaled": scaled, "last": clips.last}, "scale": scale}

    @staticmethod
    def _scale_of(scaler: Any) -> float | None:
        """What a scaler multiplies the loss by."""
        return read_tensor_scalar(getattr(scaler, "_scale", None))

    def _observation(self, session: Session, kind: str, detail: dict[str, Any]) -> Observation:
        return Observation(session.index, session.step, kind, detail)

    @staticmethod
    def _is_looked_at(training: Kept) -> bool:
        step = training.step
        return step < LOOKED_AT or step % LOOKED_EVERY == 0 or training.is_watched


def _said(line: tuple[str, int] | None) -> str | None:
    return None if line is None else f"{os.path.abspath(line[0])}:{line[1]}"


def _is_called(module: nn.Module) -> bool:
    """Whether anybody can call it: a dictionary of parameters, or a class with methods of its own, nobody can."""
    return type(module).forward is not nn.Module.forward


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
