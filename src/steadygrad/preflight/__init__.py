"""What can be known before step 0: a model, a batch and a loss, measured and judged."""

from .check import check

__all__ = ["check"]
