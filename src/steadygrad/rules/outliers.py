"""Few samples that stand apart from all others: then it is not the scale of the data that is wrong."""

from dataclasses import replace

from .._i18n import say
from ..evidence import TensorProfile
from ..findings import Finding

APART = 100.0
"""Times the largest of the other samples, from which the few that are larger are broken records and no long tail: what
follows a power law without a variance, P(X > x) = 1 / x^2, has such a gap in one batch of ten thousand."""

REMEDIES = ("drop-outlier-samples", "winsorise-features", "clip-global-norm")


def of_few(finding: Finding, profile: TensorProfile) -> Finding:
    """What is found of the scale of a tensor; an `outlier-batch` where a few of its samples alone are out of scale."""
    if not profile.apart > APART:
        return finding
    return replace(
        finding,
        cause="outlier-batch",
        summary=say(
            "few samples of {tensor} are {apart:.3g} times larger than the largest of the others, up to {largest:.3g}",
            tensor=profile.name,
            apart=profile.apart,
            largest=profile.absmax,
        ),
        evidence={**finding.evidence, "apart": profile.apart, "largest": profile.absmax},
        remedies=REMEDIES,
    )
