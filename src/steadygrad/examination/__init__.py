"""What happened in a pass of a training that went wrong: it is computed again, and measured as the check measures."""

from .again import losses_again
from .batch import tensors_of_batch
from .examine import Examination, Subject, examine
from .taped_objective import TapedObjective

__all__ = ["Examination", "Subject", "TapedObjective", "examine", "losses_again", "tensors_of_batch"]
