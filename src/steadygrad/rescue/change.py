"""The change to make in the user's code: a line of it, and a diff where the place is known."""

import ast
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..findings import Finding
from ..remedies import remedy
from ..trials import Candidate
from .edits import EDITS, Place


@dataclass(frozen=True, slots=True)
class Change:
    """What to change.

    Attributes:
        remedy: its id.
        says: in one sentence.
        code: a line of code that does it.
        line: where, as "train.py:12"; None where it is not known.
        diff: a unified diff of the script that makes the change; None where it cannot be written by a machine.
    """

    remedy: str
    says: str
    code: str
    line: str | None = None
    diff: str | None = None


def change(candidate: Candidate, finding: Finding | None, lines: Mapping[str, str], folder: Path) -> Change:
    """Say what a remedy is in the user's code.

    Args:
        candidate: the remedy with its numbers.
        finding: what it mends; None if it was found by trial alone.
        lines: of the user's code, by what they do: "optimizer", "step", "loss", "model".
        folder: paths in the diff are relative to it, where they lie below it.
    """
    known = remedy(candidate.remedy)
    wanted, edit = EDITS.get(candidate.remedy, ("", None))
    line = lines.get(wanted) or (None if finding is None else finding.line)
    diff = None
    if edit is not None and line is not None:
        path, _, number = line.rpartition(":")
        if number.isdecimal():
            diff = _diff(Path(path), int(number), candidate, edit, folder)
    code = _with_numbers(known.code, candidate)
    return Change(known.id, known.said, code, None if line is None else _relative(line, folder), diff)


def _diff(path: Path, number: int, candidate: Candidate, edit: "object", folder: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8")
        place = Place(text, number)
        new = edit(place, candidate.options)  # type: ignore[operator]
        if new is None or new == text:
            return None
        ast.parse(new)
    except (OSError, ValueError, SyntaxError):
        return None
    name = _relative(str(path), folder)
    old_lines, new_lines = text.splitlines(keepends=True), new.splitlines(keepends=True)
    return "".join(difflib.unified_diff(old_lines, new_lines, f"a/{name}", f"b/{name}"))


def _with_numbers(code: str, candidate: Candidate) -> str:
    factor = candidate.options.get("factor")
    if candidate.remedy == "lower-learning-rate" and isinstance(factor, float):
        return code.replace("lr=lr / 10", f"lr=lr * {factor:g}")
    passes = candidate.options.get("passes")
    return code.replace("accumulation_steps", str(passes)) if passes else code


def _relative(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder) if Path(path.rpartition(":")[0] or path).is_relative_to(folder) else path
