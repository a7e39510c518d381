"""Which line of the user's code is running."""

import sys
from pathlib import Path
from types import FrameType

import torch

TORCH = str(Path(torch.__file__).parent)
OURS = str(Path(__file__).parent.parent)

AGAIN = "again"
"""The function that makes a call of a recorded pass again: what lies above it has not made that call."""

FRAMES = 40
"""Frames that are looked through."""


def source_line(frame: FrameType | None = None) -> tuple[str, int] | None:
    """File and number of the innermost line that is neither torch's nor ours.

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
    for _ in range(FRAMES):
        if frame is None:
            return None
        file = frame.f_code.co_filename
        if file.startswith(OURS):
            if not through and (left or frame.f_code.co_name == AGAIN):
                return None
        elif not file.startswith((TORCH, "<")):
            return file, frame.f_lineno
        else:
            left = True
        frame = frame.f_back
    return None
