"""Adam's v lags the gradient: update RMS far above lr.

Adam divides by the root of a running mean of squared gradients. With beta2 near 1 that mean is old: when gradients grow
it is far below what they are now, and steps become many times lr.

Seen in: the root of the mean of g^2 / v, over several steps and before the loss has risen.

Reference: Wortsman et al., "Stable and low-precision training for large-scale vision-language models", 2023.
"""

from collections.abc import Iterator

from ...findings import Finding
from ..case import Case, nats, usual

CAUSE = "stale-second-moment"

LAGS = 3.0
"""Ratio from which updates are out of proportion; in sound training it is about 1."""


def stale_second_moment(case: Case) -> Iterator[Finding]:
    """By the second moment at the first alarm, where the gradients had been growing for some steps."""
    if not case.symptoms:
        return
    ratio = float(case.symptoms[0].get("second_moment_ratio", {}).get("largest", 0.0) or 0.0)
    norms = case.before("grad_norm")
    if not ratio > LAGS or len(norms) < 16:
        return
    level, last = usual(norms[:-6]), usual(norms[-3:])
    rising = nats(last / level) if level and last else 0.0
    betas = [group.get("betas") for group in case.symptoms[0].get("groups", ()) if group.get("betas")]
    slow = max((float(beta[1]) for beta in betas), default=0.0)
    yield Finding(
        CAUSE,
        min(0.9, 0.45 + 0.15 * max(0.0, rising) + (0.2 if slow > 0.9995 else 0.0)),
        f"optimizer {case.optimizer}",
        f"the gradient is {ratio:.3g} times what Adam's second moment expects: steps are that many times the rate",
        {"second_moment_ratio": ratio, "beta2": slow, "rise_of_the_gradient": rising},
        ("lower-beta2", "stable-adamw", "clip-global-norm"),
        case.onset,
    )
