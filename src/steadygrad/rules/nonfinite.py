"""Numbers that are not finite: in the batch, or made by an operation of the model or the loss."""

import math
from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence
from ..findings import Finding, Measurement

OVERFLOWS = 1e4
"""An operation whose inputs are this large was given too much; one that fails on smaller ones is unsafe by itself."""

LINEAR = frozenset(
    {"convolution", "addmm", "mm", "addmv", "mv", "bmm", "baddbmm", "native_batch_norm", "native_layer_norm"}
)
"""Operations that make NaN of -inf, with weights of both signs; masks are added to what a softmax gets."""


def nonfinite(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`nonfinite-data` where the batch has NaN or infinity and the loss or gradient with it, else `unsafe-op`."""
    made = evidence.sound_batch and evidence.origin is not None  # by an operation of the script's own, on sound data
    bad = [each for each in (*evidence.inputs, *evidence.targets) if each.nonfinite and not made]
    count = sum(each.nonfinite for each in bad)
    yield Measurement(
        say("non-finite numbers"),
        "batch",
        float(count),
        "0",
        say("one NaN in a batch reaches every weight"),
        bool(count),
    )
    if evidence.base.finite and evidence.origin is None:
        return  # what the model masks on purpose has no effect
    # What was no mask: no operation made the first bad number, or one that nobody gives a mask to.
    if not bad and (evidence.origin is None or evidence.origin.op in LINEAR):
        bad = [each for each in (*evidence.inputs, *evidence.targets) if each.minus_infinite]
    if bad:
        yield Finding(
            "nonfinite-data",
            0.97,
            bad[0].name,
            say(
                "{tensor} holds NaN or infinity ({count} of its numbers), and so does the loss or its gradient",
                tensor=bad[0].name,
                count=bad[0].nonfinite or bad[0].minus_infinite,
            ),
            {"nonfinite_count": count, "loss": evidence.base.loss, "grad_norm": evidence.base.grad_norm},
            ("drop-or-impute-nonfinite-samples",),
        )
        return
    origin = evidence.origin
    if origin is not None and origin.phase == "data":
        yield Finding(
            "nonfinite-data",
            0.9,
            origin.where or origin.op,
            say("{op} is given a plain number that is not finite", op=origin.op),
            {"op": origin.op},
            ("drop-or-impute-nonfinite-samples",),
        )
        return
    if origin is None or origin.largest_input > OVERFLOWS or _is_half(evidence):
        return  # the rules of scale and of half precision say why it became so large
    yield Finding(
        "unsafe-op",
        0.9,
        origin.where or origin.op,
        say(
            "the derivative of {op} is not finite where its inputs are, in the backward pass, shape {shape}",
            op=origin.op,
            shape=origin.shape,
        )
        if origin.phase == "backward"
        else say(
            "{op} makes a result that is not finite of finite numbers, in the {phase} pass, shape {shape}",
            op=origin.op,
            phase=say(origin.phase),
            shape=origin.shape,
        ),
        {
            "op": origin.op,
            "phase": origin.phase,
            "largest_input": origin.largest_input,
            "loss": evidence.base.loss if math.isfinite(evidence.base.loss) else str(evidence.base.loss),
        },
        ("add-epsilon-inside-the-operation", "use-the-stable-form"),
    )


def _is_half(evidence: Evidence) -> bool:
    return bool(evidence.base.overflows) or any(call.dtype == "float16" for call in evidence.base.calls)
