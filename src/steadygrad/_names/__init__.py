"""Who owns a parameter, and what people call it."""

from .parameters import name_parameters
from .roots import find_roots

__all__ = ["find_roots", "name_parameters"]
