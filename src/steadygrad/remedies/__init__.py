"""The catalogue of changes: what each remedy that a finding names is, and the line of code that makes it. No torch."""

from .catalogue import REMEDIES, Remedy, remedy
from .chosen import parse_remedy

__all__ = ["REMEDIES", "Remedy", "parse_remedy", "remedy"]
