"""Clipping applied to loss-scaled gradients.

With a `GradScaler` gradients are tens of thousands of times too large until `unscale_`. Clipped before that they are
all cut to the limit and then divided: the limit that was meant to be 1 is 1/65536.

Seen in: a call of torch's clipping functions while gradients are still scaled; where a script clips in lines of its
own, in gradients that all have one norm, which is that of a limit divided by the scale.

Remedies: unscale-before-clip.

Reference: torch documentation, "Automatic mixed precision examples: gradient clipping".
"""

from collections.abc import Iterator

from ..._i18n import say
from ...findings import Finding
from ..case import Case

CAUSE = "clip-before-unscale"


def clip_before_unscale(case: Case) -> Iterator[Finding]:
    """By the calls themselves."""
    for each in case.symptoms[:1]:
        clips = each.get("clips", {})
        if clips.get("scaled") and clips["scaled"] >= clips["calls"] / 2:
            limit, line = clips["last"] or (None, None)
            yield Finding(
                CAUSE,
                0.93,
                "clip_grad_norm_" if line else "gradients",
                say(
                    "gradients are clipped while they are still multiplied by the loss scale ({scale}): the limit of "
                    "{limit} holds for the scaled ones",
                    scale=each.get("scale"),
                    limit=None if limit is None else f"{limit:.3g}",
                ),
                {
                    "limit": limit,
                    "scale": each.get("scale"),
                    "calls": clips["calls"],
                    "line": line and f"{line[0]}:{line[1]}",
                },
                ("unscale-before-clip",),
                case.onset,
            )
