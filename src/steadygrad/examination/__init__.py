"""What happened in a pass of a training that went wrong: it is computed again, and measured as the check measures."""

from .again import losses_again, nothing, nothing_of_samples, of_all, of_another
from .batch import tensors_of_batch
from .examine import Examination, Subject, examine
from .taped_objective import TapedObjective

__all__ = [
    "Examination",
    "Subject",
    "TapedObjective",
    "examine",
    "losses_again",
    "nothing",
    "nothing_of_samples",
    "of_all",
    "of_another",
    "tensors_of_batch",
]
