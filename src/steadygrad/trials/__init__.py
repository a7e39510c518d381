"""Trials of remedies, and what they prove. No torch: what a trial leaves behind is a list of losses.

`plan` says which remedies to try for what a diagnosis says, `trial` what one is, `series` what its losses say, `turn`
whether the task has become another on the way, `proof` which cause that proves, `words` what people are told of it.
"""

from .plan import candidates, everything, plan
from .proof import Proof, mended, mends, prove
from .series import Series, faulty
from .trial import Candidate, Trial

__all__ = [
    "Candidate",
    "Proof",
    "Series",
    "Trial",
    "candidates",
    "everything",
    "faulty",
    "mended",
    "mends",
    "plan",
    "prove",
]
