"""The casebook: trainings with one planted fault, and trainings with none, each as it stands before its first step.

That the faults do harm and that the sound ones learn is measured by `benchmarks/check_cases.py`.
"""

from tests.check import (
    cells,
    convolutional,
    feedforward,
    generative,
    huggingface,
    numerics,
    recurrent,
    sequences,
    tabular,
    transformers,
)
from tests.check.case import Case

__all__ = ["FAULTY", "SOUND", "Case"]

FAMILIES = (
    feedforward,
    convolutional,
    recurrent,
    cells,
    transformers,
    sequences,
    generative,
    tabular,
    numerics,
    huggingface,
)

FAULTY: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family.FAULTY)
SOUND: tuple[Case, ...] = tuple(case for family in FAMILIES for case in family.SOUND)
