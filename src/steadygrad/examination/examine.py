"""Examines a pass: on the batch of the onset and the one before it, with the weights of now and those of the start."""

import io
import math
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._readback import any_nan, any_positive_infinity
from .._recorded import recorded
from .._tap import CannotReplay, TapedPass
from ..evidence import Evidence, Origin
from ..measure.origin import OriginTrace
from ..measure.undisturbed import undisturbed
from ..preflight.gather import gather
from ..preflight.observed import observe
from .batch import identity, worst_samples
from .taped_objective import TapedObjective
from .terms import terms_of

BUDGET = 3.0
"""Seconds that curvature and a few steps may take: a training waits."""

MOST_NUMBERS = 32
"""Numbers of a loss that are kept."""


@dataclass(slots=True)
class Examination:
    """What was found of one pass.

    Attributes:
        evidence: everything that the check would measure; None where the pass cannot be computed again.
        batch_before: loss and gradient norm of the batch before, with the same weights; None if it is not there.
        old_buffers: loss and gradient norm with the buffers of a while ago; None if those are still the same.
        numbers: what anything was multiplied or divided by in the functions behind the models.
        batch: which batch it was, see `identity`.
        samples: which of its samples had the largest loss, see `worst_samples`; None where that is not known.
        taped: the pass itself; None if none was kept.
        problem: why something is missing, "" if nothing is.
        seconds: what it took.
    """

    evidence: Evidence | None = None
    batch_before: tuple[float, float] | None = None
    numbers: tuple[float, ...] = ()
    old_buffers: tuple[float, float] | None = None
    batch: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, Any] | None = None
    taped: TapedPass | None = None
    problem: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Subject:
    """What is examined: passes, and the optimizer that trains on them.

    `weights_as_then` says that the weights are those of the passes: then the loss must come out again. `bad` says that
    the pass itself was not finite: measured again without dropout it may be. `broken` are the passes that were not
    finite, where those of an earlier step are examined. `buffers` are pairs of a model's buffers and what they held a
    while ago. `longest` is the norm to which a script clips gradients, where the moments of its optimizer are of such.
    """

    passes: Sequence[TapedPass]
    before: Sequence[TapedPass]
    optimizer: Optimizer | None
    params: Sequence[Tensor]
    names: Sequence[str]
    why_not: str = ""
    weights_as_then: bool = True
    bad: bool = False
    broken: Sequence[TapedPass] = ()
    buffers: Sequence[tuple[Tensor, Tensor]] = ()
    longest: float = math.inf
    say: Callable[[str], None] = field(default=lambda line: None)


def examine(subject: Subject) -> Examination:
    """Compute the pass that went wrong again, and measure it.

    Weights, moments, buffers, gradients and random numbers are as before when it returns.

    Args:
        subject: the passes of the step, of which the worst is looked at, and what they belong to.
    """
    began = perf_counter()
    found = Examination()
    try:
        if not subject.passes:
            raise CannotReplay(subject.why_not or recorded("no pass was kept"))
        # What a model prints when it is called, it has printed already.
        with torch.enable_grad(), redirect_stdout(io.StringIO()):
            taped, objective = _worst(subject)
            found.taped, found.batch = taped, identity(taped)
            if subject.weights_as_then:
                objective.verify()
            found.evidence = gather(objective, subject.optimizer, subject.say, BUDGET, subject.longest)
            if subject.broken:
                found.evidence.origin = _first_origin(subject) or found.evidence.origin
            elif subject.bad or not found.evidence.base.finite:
                found.evidence.origin = _origin(taped, objective) or found.evidence.origin
            found.evidence.sound_batch = found.evidence.origin is not None and _is_sound(taped)
            found.batch_before = _before(subject)
            found.old_buffers = _with_old_buffers(subject, objective)
            found.samples = worst_samples(taped, objective)
            found.evidence.terms = terms_of(taped, objective)
            found.numbers = tuple(sorted(taped.factors))[:MOST_NUMBERS]
    except CannotReplay as error:
        found.evidence, found.problem = None, str(error)
    except Exception as error:  # whatever a user's model does when it is called again
        found.evidence, found.problem = None, f"{type(error).__name__}: {error}".splitlines()[0]
    found.seconds = perf_counter() - began
    return found


def _worst(subject: Subject) -> tuple[TapedPass, TapedObjective]:
    """Of several accumulated passes, the one with the largest gradient."""
    objectives = [(taped, TapedObjective(taped, subject.params, subject.names)) for taped in subject.passes]
    if len(objectives) == 1:
        return objectives[0]

    def size(one: tuple[TapedPass, TapedObjective]) -> float:
        made = observe(one[1])
        return made.grad_norm if made.finite else math.inf

    return max(objectives, key=size)


def _before(subject: Subject) -> tuple[float, float] | None:
    if not subject.before:
        return None
    try:
        made = observe(TapedObjective(subject.before[-1], subject.params, subject.names))
    except Exception:
        return None
    return made.loss, made.grad_norm


def _with_old_buffers(subject: Subject, objective: TapedObjective) -> tuple[float, float] | None:
    changed = [(now, old) for now, old in subject.buffers if not torch.equal(now, old)]
    if not changed:
        return None
    kept = [now.detach().clone() for now, _ in changed]
    try:
        for now, old in changed:
            now.data.copy_(old)
        made = observe(objective)
        return made.loss, made.grad_norm
    except Exception:
        return None
    finally:
        for (now, _), values in zip(changed, kept, strict=True):
            now.data.copy_(values)


def _is_sound(taped: TapedPass) -> bool:
    """Whether what came from outside is finite: then a script has made what is not of it. Infinities may be masks."""
    given = [each for each in taped.outside.values() if each.is_floating_point()]
    return not any_nan(given) and not any_positive_infinity(given)


def _first_origin(subject: Subject) -> Origin | None:
    """That of the first broken pass that has one."""
    for taped in subject.broken:
        found = _origin(taped, TapedObjective(taped, subject.params, subject.names))
        if found is not None:
            return found
    return None


def _origin(taped: TapedPass, objective: TapedObjective) -> Origin | None:
    """The first operation that went wrong, with the user's line: of functions behind the model it is on the tape."""
    current: list[Any] = []
    with undisturbed(objective.model), OriginTrace(objective.model, lambda: current[-1] if current else None) as trace:
        loss, _ = taped.replay(on_call=lambda entry, args, kwargs: current.append(entry.line))
        trace.follow(loss)
        if torch.isfinite(loss.detach()):
            loss.backward()
        return trace.origin()
