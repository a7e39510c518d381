"""What trials come to, in words for people."""

import math
from collections.abc import Sequence

from .._i18n import say
from .proof import Proof
from .trial import Trial


def outcome(trial: Trial, *, mended: bool) -> tuple[str, str]:
    """What a trial came to, in a few words; and of what kind that is: "good", "bad", "none" or "fair"."""
    if mended:
        return say("sound"), "good"
    if trial.error:
        return trial.error, "bad"
    if trial.did_nothing:
        return say("found nothing to change"), "none"
    if trial.candidate is None and trial.number == 0:
        return say("the watched run"), "none"
    series = trial.series
    if not math.isfinite(series.end):
        return say("not finite"), "bad"
    if series.broken:
        return say("diverges"), "bad"
    return (say("learns, no better than without") if series.learns else say("learns nothing")), "fair"


def head(proof: Proof | None) -> str:
    """What was proven, in a line."""
    if proof is None or proof.winner is None:
        return say("no change has mended this run")
    if proof.cause is None:
        return say("a change mends this run, and says nothing of its cause")
    return say("proven: {cause}", cause=proof.cause)


def sentences(proof: Proof, *, budget_spent: bool = False) -> Sequence[str]:
    """What the table of trials means."""
    said = []
    if proof.cause is not None and proof.proving is not None:
        others = [each.name for each in proof.mended if each.candidate and proof.cause not in each.candidate.removes]
        end = f"{proof.proving.series.end:.3g}"
        told = {"cause": proof.cause, "remedy": proof.proving.name, "end": end}
        if others:
            more = ", ".join(others)
            said.append(
                say(
                    "With {remedy} the run ends at {end}; so it does with {others}, which say less.",
                    others=more,
                    **told,
                )
            )
        else:
            said.append(
                say("Removing {cause} ({remedy}) mends the run, which ends at {end}; nothing else does.", **told)
            )
    if proof.deterministic is False:
        said.append(say("Two runs without a change differ: the script is not deterministic, and this is less certain."))
    elif proof.deterministic:
        said.append(say("Two runs without a change are alike to the last digit: what differs is the change's doing."))
    if budget_spent:
        said.append(say("The budget was spent before everything was tried."))
    return said
