"""What happened in a pass of a training that went wrong: it is computed again, and measured as the check measures."""

from .again import OfOthers, anything_of_samples, classes_again, losses_again, nothing, of_all, of_another, with_weights
from .batch import tensors_of_batch
from .examine import Examination, Subject, examine
from .taped_objective import TapedObjective

__all__ = [
    "Examination",
    "OfOthers",
    "Subject",
    "TapedObjective",
    "anything_of_samples",
    "classes_again",
    "examine",
    "losses_again",
    "nothing",
    "of_all",
    "of_another",
    "tensors_of_batch",
    "with_weights",
]
