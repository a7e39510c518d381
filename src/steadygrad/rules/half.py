"""Room in reduced precision: the largest activation against the largest number of its type."""

from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence
from ..findings import Finding, Measurement

LARGEST = {"float16": 65504.0, "bfloat16": 3.39e38, "float32": 3.40e38, "float64": 1.8e308}

ROOM = 8.0
"""An activation nearer to the end of its range than this factor overflows with the first larger batch."""


def half(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`half-overflow` if a float16 activation has reached the end of its range, or nearly so."""
    calls = evidence.base.calls
    if not calls:
        return
    # NaN counts as the largest: it comes of an overflow.
    top = max(calls, key=lambda call: float("inf") if call.output_absmax != call.output_absmax else call.output_absmax)
    yield Measurement(
        say("largest activation"),
        top.layer,
        top.output_absmax,
        say("{limit:.0f} in float16, whose range ends at 65504", limit=LARGEST["float16"] / ROOM),
        say("what overflows is infinite, and then NaN"),
        not top.output_absmax <= LARGEST["float16"] / ROOM,
    )
    if evidence.base.overflows:
        yield from overflowing(evidence)
        return
    beyond = [call for call in calls if call.dtype == "float16" and not call.output_absmax <= LARGEST["float16"] / ROOM]
    if beyond:
        first = beyond[0]
        yield Finding(
            "half-overflow",
            0.95 if not evidence.base.finite else 0.8,
            first.layer,
            say(
                "{layer} puts out {absmax:.3g} in float16, whose range ends at 65504",
                layer=first.layer,
                absmax=first.output_absmax,
            ),
            {"absmax": first.output_absmax, "range": LARGEST["float16"], "dtype": first.dtype},
            ("bfloat16", "float32-for-this-layer", "rescale-initialisation"),
        )
    elif not evidence.base.finite and any(call.dtype == "float16" for call in calls):
        origin = evidence.origin
        yield Finding(
            "half-overflow",
            0.8,
            "loss" if origin is None else origin.where or origin.op,
            say("a float16 pass is not finite")
            if origin is None
            else say(
                "a float16 pass is not finite: {op} in the {phase} pass, from numbers up to {largest:.3g}",
                op=origin.op,
                phase=say(origin.phase),
                largest=origin.largest_input,
            ),
            {"range": LARGEST["float16"]}
            if origin is None
            else {"range": LARGEST["float16"], "op": origin.op, "phase": origin.phase},
            ("bfloat16", "loss-scaling", "float32-for-this-layer"),
        )


def overflowing(evidence: Evidence) -> Iterator[Finding]:
    """Operations alone: one that overflows need not make the loss infinite, where it is divided by."""
    for op, place in evidence.base.overflows[:1]:
        yield Finding(
            "half-overflow",
            0.95,
            place or op,
            say("{op} overflows in float16, whose range ends at 65504, though what it is given is finite", op=op),
            {"op": op, "operations": len(evidence.base.overflows), "range": LARGEST["float16"]},
            ("bfloat16", "float32-for-this-operation"),
        )
