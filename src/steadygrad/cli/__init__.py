"""The command line. It imports no torch: the training runs in processes of its own."""

from .main import main

__all__ = ["main"]
