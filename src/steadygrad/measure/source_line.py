"""Which line of the user's code is running."""

import os
import sys
from pathlib import Path
from types import FrameType

import torch

TORCH = str(Path(torch.__file__).parent)
OURS = str(Path(__file__).parent.parent)

AGAIN = "again"
"""The function that makes a call of a recorded pass again: what lies above it has not made that call."""

STANDARD = str(Path(os.__file__).parent)
INSTALLED = ("site-packages", "dist-packages")
"""Where code lies that others have written."""

FRAMES = 64
"""Frames that are looked through."""


def source_line(frame: FrameType | None = None) -> tuple[str, int] | None:
    """File and number of the innermost line of the user's code; where there is none, of a library that uses torch.

    Below frames of ours that come after torch's or the user's (a pass that is computed again) nothing is looked for,
    unless it is said where to begin.

    Args:
        frame: where to begin; None for the caller.

    Example:
        >>> source_line() is None or source_line()[1] > 0
        True
    """
    through = frame is not None
    frame = sys._getframe(1) if frame is None else frame
    left = False
    library: tuple[str, int] | None = None
    for _ in range(FRAMES):
        if frame is None:
            return library
        file = frame.f_code.co_filename
        if file.startswith(OURS):
            if not through and (left or frame.f_code.co_name == AGAIN):
                return library
        elif file.startswith((TORCH, "<")):
            left = True
        elif file.startswith(STANDARD) or any(folder in file for folder in INSTALLED):
            library = library or (file, frame.f_lineno)
        else:
            return file, frame.f_lineno
        frame = frame.f_back
    return library
