"""The scripts of the zoo, and what their docstrings say of them. No torch."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ZOO = Path(__file__).resolve().parent

STALLS = frozenset({"vanishing-depth", "vanishing-recurrent", "dead-units", "saturation", "clip-before-unscale"})
"""Causes of learning nothing; the others explode."""

MARK = "# fix: "


@dataclass(frozen=True)
class FirstBad:
    """The first number of a bare run that is not finite: at which step, in which phase, made by which operation.

    It is the first that comes through to the loss or to the gradient of a weight: what a mask, a saturated gate or a
    rectifier takes back does no harm. Steps are those of the optimizer that is concerned. `node` is the node of the
    autograd graph inside which a backward operation ran, where that is known: then either name is right.
    """

    step: int
    phase: str
    op: str
    node: str = ""


@dataclass(frozen=True)
class Script:
    """One script with one set of arguments. `causes` is empty for a healthy one."""

    path: Path
    causes: tuple[str, ...] = ()
    fails: str = ""
    first_bad: FirstBad | None = None
    args: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Family, script and arguments."""
        return " ".join((f"{self.path.parent.name}/{self.path.stem}", *self.args))

    @property
    def stalls(self) -> bool:
        """Whether it learns nothing instead of exploding."""
        return bool(self.causes) and self.causes[0] in STALLS


def find(words: Sequence[str] = (), folder: Path = ZOO) -> list[Script]:
    """The scripts below `healthy` and `failing` whose name contains one of the words; all of them without words."""
    paths = [*sorted((folder / "healthy").glob("*.py")), *sorted((folder / "failing").glob("*/*.py"))]
    scripts = [script for path in paths for script in read(path)]
    return [script for script in scripts if not words or any(word in script.name for word in words)]


def read(path: Path) -> Iterator[Script]:
    """A script, once for each of its variants."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    causes = _line(text, "Cause")
    variants = _line(text, "Variants").split("|")
    bad = [_first_bad(each) for each in _line(text, "First bad").split("|")]
    for variant, first_bad in zip(variants, bad if len(bad) == len(variants) else bad * len(variants), strict=False):
        yield Script(
            path, tuple(causes.split(", ")) if causes else (), _line(text, "Fails"), first_bad, tuple(variant.split())
        )


def fixed(text: str) -> str:
    """The text of a script with its one-line fix made: `code  # fix: other code`, or `# fix: code` on its own line.

    >>> fixed("lr = 3.0  # fix: lr = 0.1")
    'lr = 0.1'
    >>> fixed("    # fix: optimizer.zero_grad()")
    '    optimizer.zero_grad()'

    Raises:
        ValueError: there is not just one.
    """
    lines = text.split("\n")
    marked = [place for place, line in enumerate(lines) if MARK in line]
    if len(marked) != 1:
        raise ValueError(f"{len(marked)} lines are marked with {MARK!r}, expected one")
    line = lines[marked[0]]
    indent = line[: len(line) - len(line.lstrip())]
    lines[marked[0]] = indent + line.split(MARK, 1)[1]
    return "\n".join(lines)


def _first_bad(said: str) -> FirstBad | None:
    found = re.match(r"step (\d+), ([a-z]+)(?:, (?:aten\.)?(\w+))?(?:, (\w+Backward\d*))?", said.strip())
    return None if found is None else FirstBad(int(found[1]), found[2], found[3] or "", found[4] or "")


def _line(text: str, label: str) -> str:
    found = re.search(rf"^{label}: (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""
