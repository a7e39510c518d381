"""Remedies, applied: what changes a training from outside while its script stays as it is. A file an idea.

`applied` knows where a process can be touched, `intervention` what one change is, `family` which there are; `in_loop`
makes the same steps with one change after the other. The rest are the changes, each under the id of its remedy in the
catalogue.
"""

from .applied import Applied, go_on
from .family import INTERVENTIONS, intervention_for
from .in_loop import Trials, try_remedies
from .intervention import Intervention
from .resumed import kept_of, state_of

__all__ = [
    "INTERVENTIONS",
    "Applied",
    "Intervention",
    "Trials",
    "go_on",
    "intervention_for",
    "kept_of",
    "state_of",
    "try_remedies",
]
