"""Recurrent layers over time: what a perturbation becomes, and how much of the gradient arrives."""

import math
from collections.abc import Iterator, Sequence

from .._i18n import say
from ..evidence import Evidence, Recurrence
from ..findings import Finding, Measurement
from .units import DEAD

EXPANDS = math.log(30.0)
"""Nats over all time steps from which the recurrence amplifies more than a clip can hide."""

FORGETS = -1.5
"""Nats a step below which nothing survives a handful of steps. torch's defaults lie between -0.9 and -0.3."""

MEMORY = 8
"""Steps of a sequence from which such a memory is too short."""


FLAT = -1.0
"""Nats a step that explain a loss which does not move, below what torch's defaults have."""

ROUNDED = -16.0
"""Nats over all steps from which what comes from the first ones is lost in float32 beside the last ones; without gates
nothing will change that."""

GONE = -30.0
"""Nats over all steps that explain it."""

TELLS = 0.1
"""Squared correlation with the target from which a time step counts for something, beside what chance makes."""

FAINT = 1e-4
"""The part of the gradient that arrives where the target is decided, from which nothing is learned of it in a run that
is seen to have learned nothing."""

LOST = -60.0
"""Nats over all steps by which a gradient without gates, which nothing will open, is gone in float32."""


def recurrent(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`recurrent-gain` and `vanishing-recurrent`, from Lyapunov exponents and the gradient by time step."""
    short = False
    for each in evidence.recurrences:
        leading = each.exponents[0]
        total = leading * each.steps
        curve = evidence.time_gradients.get(each.name, ())
        yield Measurement(
            say("leading Lyapunov exponent"),
            each.name,
            leading,
            say("{low:g} to {high:.2g} nats a step", low=FORGETS, high=EXPANDS / max(1, each.steps)),
            say("the gradient changes by exp of it a step"),
            total > EXPANDS or leading < FORGETS,
        )
        grown = _growth(curve)
        if total > EXPANDS and (grown is None or grown > 3.0):
            yield Finding(
                "recurrent-gain",
                min(0.97, 0.8 + total / 100),
                each.name,
                say(
                    "a perturbation of the state grows by exp({leading:.2g}) a step, over {steps} steps by {total:.2g}",
                    leading=leading,
                    steps=each.steps,
                    total=math.exp(min(700.0, total)),
                ),
                {"lyapunov_exponent": leading, "steps": each.steps, "spectral_radius": each.radius, "growth": grown},
                ("orthogonal-recurrent-init", "clip-global-norm", "gradient-flossing"),
            )
        elif not _is_dead(evidence, each.name) and (
            (leading < FORGETS and each.steps >= MEMORY) or (each.ungated and total < LOST)
        ):
            short = True
            yield _forgets(each, leading)
    if not short:
        yield from _out_of_reach(evidence, math.exp(ROUNDED))


def forgetful(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """The same of a run whose loss does not move: gates that might have opened have not."""
    for each in recurrent(evidence):
        yield each
    for each in evidence.recurrences:
        leading = each.exponents[0]
        total = leading * each.steps
        told = leading < FORGETS or (each.ungated and total < LOST)  # by `recurrent`
        if not told and (total < ROUNDED if _is_followed(each) else leading < FLAT and total < GONE):
            yield _forgets(each, leading)
    yield from _out_of_reach(evidence, FAINT)
    if not any(map(_is_followed, evidence.recurrences)):
        yield from unreachable(evidence)


def unreachable(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """Gates through which nothing arrives that float32 could tell from nothing, where the target is decided."""
    yield from _out_of_reach(evidence, math.exp(GONE), gated=True)


def _out_of_reach(evidence: Evidence, least: float, *, gated: bool = False) -> Iterator[Finding]:
    """What decides the target lies where less than `least` of the gradient arrives: a memory may be short, but not
    shorter than that. `gated` means torch's cells with gates: theirs may open, if anything at all arrives."""
    memory = evidence.memory
    fit = [each for each in evidence.recurrences if gated or _is_followed(each)]
    cells = [each for each in fit if not _is_dead(evidence, each.name)]
    if memory is None or (evidence.recurrences and not cells) or not all(map(math.isfinite, memory.arriving)):
        return
    if any(each.exponents[0] * each.steps > EXPANDS for each in evidence.recurrences):
        return  # beside a gradient that has exploded every other looks as if it had vanished
    squared, share, decided = memory.squared, memory.share, memory.decided
    tells = squared[decided]
    known = max((each for each, part in zip(squared, share, strict=True) if part > least), default=0.0)
    if tells < max(TELLS, memory.chance) or share[decided] > least or known > max(tells / 2, memory.chance):
        return
    cell = min(cells, key=lambda each: each.exponents[0] * each.steps, default=None)
    about = {} if cell is None else {"lyapunov_exponent": cell.exponents[0], "spectral_radius": cell.radius}
    yield Finding(
        "vanishing-recurrent",
        0.85,
        memory.name if cell is None else cell.name,
        say(
            "step {decided} of {steps} says most about the target (squared correlation {tells:.2g}), and {share:.2g} "
            "of the gradient arrives there",
            decided=decided + 1,
            steps=len(squared),
            tells=tells,
            share=share[decided],
        ),
        {
            **about,
            "steps": len(squared),
            "decided_at": decided,
            "squared_correlation": tells,
            "gradient_share": share[decided],
        },
        ("orthogonal-recurrent-init", "chrono-init", "gradient-flossing"),
    )


def _is_followed(each: Recurrence) -> bool:
    """Whether the exponent says what arrives: no gates, or a cell written by hand, whose gradient was followed."""
    return each.ungated or math.isnan(each.radius)


def _forgets(each: Recurrence, leading: float) -> Finding:
    return Finding(
        "vanishing-recurrent",
        0.85,
        each.name,
        say(
            "of the gradient exp({leading:.2g}) is left a step back, after {steps} steps {total:.2g}: nothing is "
            "learned across time",
            leading=leading,
            steps=each.steps,
            total=math.exp(max(-700.0, leading * each.steps)),
        ),
        {
            "lyapunov_exponent": leading,
            "steps": each.steps,
            "spectral_radius": each.radius,
            "gated": not _is_followed(each),
        },
        ("orthogonal-recurrent-init", "chrono-init", "gradient-flossing"),
    )


def _is_dead(evidence: Evidence, name: str) -> bool:
    """Whether it is units that never fire which let nothing through."""
    cell = name.partition(" ")[0]
    own = [each for each in evidence.base.activity if each.layer == cell or each.layer.startswith(f"{cell}.")]
    return any(each.dead > DEAD for each in own)


def _growth(curve: Sequence[float]) -> float | None:
    """The largest gradient of any step against that of the last one; None where the curve says nothing."""
    known = [value for value in curve if math.isfinite(value)]
    if len(known) < 4 or not known[-1] > 0:
        return None
    return max(known) / known[-1]
