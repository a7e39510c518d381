"""The casebook: trainings with one planted fault, and trainings with none, each as it stands before its first step.

That the faults do harm and that the sound ones learn is measured by `benchmarks/check_cases.py`.
"""

from tests.check import cells, convolutional, feedforward, recurrent, transformers
from tests.check.case import Case

FAMILIES = (feedforward, convolutional, recurrent, cells, transformers)

FAULTY: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family.FAULTY)
SOUND: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family.SOUND)
