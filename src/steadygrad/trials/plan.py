"""Which remedies to try for what a diagnosis says, the most promising first."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..diagnosis.case import FIRST
from ..findings import Finding
from ..remedies import REMEDIES, remedy
from .trial import Candidate

MOST = 12
"""Trials that a plan has at the most."""

EACH = 4
"""Remedies of one finding that are tried at the most; of one that is hardly believed a single one."""

BELIEVED = 0.3
"""Confidence from which a finding is believed."""

NEAR_LOGITS = 8.0
"""Largest attention logit of a model that begins with sound ones: a softmax that can be nearly one-hot still learns."""

RELIEFS = ("lower-learning-rate", "clip-global-norm")
"""What relieves nearly any run that explodes: tried beside the others, to see whether those do more."""


def plan(findings: Sequence[Finding], most: int = MOST) -> list[Candidate]:
    """Candidates in the order of the findings: the first remedy of each, then their second ones, and so on.

    Args:
        findings: ranked.
        most: how many.
    """
    columns = [list(_of(finding))[: EACH if finding.confidence >= BELIEVED else 1] for finding in findings]
    found: list[Candidate] = []
    for row in range(max(map(len, columns), default=0)):
        for column in columns:
            if row < len(column):
                found.append(column[row])
    for finding in findings[:1]:
        found += [each for name in RELIEFS for each in candidates(name, finding)]
    return _once(found)[:most]


def everything() -> list[Candidate]:
    """Every remedy that can be applied from outside: what is left when nothing was found, or nothing has helped."""
    return [Candidate(each.id, each.removes) for each in REMEDIES if each.outside]


def _of(finding: Finding) -> Iterator[Candidate]:
    """The remedies that remove its cause: those that it names, then the others."""
    named = [name for name in finding.remedies if remedy(name).outside]
    removing = [each.id for each in REMEDIES if each.outside and finding.cause in each.removes]
    for name in dict.fromkeys([*(name for name in named if name in removing), *removing]):
        yield from candidates(name, finding)


def candidates(name: str, finding: Finding) -> Iterator[Candidate]:
    """A remedy with the numbers that the evidence has for it; several where there are several to try, in order."""
    known = remedy(name)
    evidence = finding.evidence
    if name == "lower-learning-rate":
        for factor in rate_factors(evidence):
            yield Candidate(name, known.removes, "", {"factor": factor})
    elif name == "mean-reduction":
        # A sum over the outputs of a sample may be meant; that over the batch never is.
        for over in ("samples", "terms"):
            yield Candidate(name, known.removes, "", {"over": over})
    elif name == "divide-loss-by-accumulation-steps":
        passes = evidence.get("passes")
        yield Candidate(name, known.removes, "", {"passes": int(passes)} if passes else {})
    elif name in ("reset-moments", "reset-running-stats"):
        yield Candidate(name, known.removes, "", {} if finding.step is None else {"step": finding.step})
    elif name == "rescale-query-key-weights":
        # Logits that were far apart from the start are to be near each other, not only off their ceiling.
        near = {"threshold": NEAR_LOGITS} if evidence.get("seen_in") == FIRST else {}
        yield Candidate(name, known.removes, finding.where, near)
    elif name == "rescale-initialisation":
        where = finding.where if finding.cause in known.removes else ""
        # A state that is carried on by the script is none that its first call would show. One that has overflowed was
        # carried as often as it had grown in a row, at least.
        steps = _number(evidence.get("steps", evidence.get("repeats"))) if finding.cause == "recurrent-gain" else None
        yield Candidate(name, known.removes, where, {"steps": int(steps)} if steps else {})
    else:
        where = finding.where if finding.cause in known.removes else ""
        yield Candidate(name, known.removes, where)


def rate_factors(evidence: Mapping[str, Any]) -> tuple[float, float]:
    """By what to multiply a rate: what has made steps on one batch harmless, and then what brings sharpness to half
    its limit.

    Steps that were made weigh more than curvature, which is that of one place: a training may catapult itself to a
    flatter one, or be lost already. Below a tenth of what the steps say it is not taken. A tenth, where neither is
    known; and a tenth of that, if there is no other second.

    Example:
        >>> rate_factors({"sharpness_ratio": 40.0, "stable_factor": 0.1}), rate_factors({"sharpness_ratio": 5000.0})
        ((0.1, 0.01), (0.0001, 1e-05))
        >>> rate_factors({"sharpness_ratio": 5000.0, "stable_factor": 0.1}), rate_factors({})
        ((0.1, 0.01), (0.1, 0.01))
    """
    stable, ratio = _number(evidence.get("stable_factor")), _number(evidence.get("sharpness_ratio"))
    by_sharpness = 0.5 / ratio if ratio is not None and ratio > 5 else None
    if stable is None:
        first = second = 0.1 if by_sharpness is None else min(0.1, by_sharpness)
    else:
        first = stable
        second = stable if by_sharpness is None else min(stable, max(stable / 10, by_sharpness))
    first, second = (float(f"{max(1e-6, each):.1g}") for each in (first, second))
    return first, second if second < first else float(f"{first / 10:.1g}")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _once(several: Sequence[Candidate]) -> list[Candidate]:
    kept: dict[tuple[str, tuple[tuple[str, object], ...]], Candidate] = {}
    for each in several:
        kept.setdefault((each.remedy, tuple(sorted(each.options.items()))), each)
    return list(kept.values())
