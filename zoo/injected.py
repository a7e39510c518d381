"""Sound scripts by many hands, each given one fault from outside: which cause is named?

    python -m zoo.injected --each 12               # twelve scripts for each fault, drawn by --seed
    python -m zoo.injected --each 12 rate moments  # these faults alone
    python -m zoo.injected --folder tests/diagnosis/ninth_holdout/healthy

Whether a script fails with a fault is told by bare runs, with it and without: it does if it ends with a loss that is
not finite, or has lost half of what it gains without the fault. One that bears it says nothing of the tool, and is left
out. A fault is a file in `ailments`; its docstring says which causes are true names of it.
"""

import argparse
import ast
import json
import math
import random
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress

from .scripts import Script
from .table import text
from .watched import Outcome, execute, watch

ROOT = Path(__file__).resolve().parents[1]

SOURCES = (ROOT / "zoo" / "healthy", *sorted((ROOT / "tests" / "diagnosis").glob("*holdout/healthy")))

LOST = 0.5
"""The part of what a sound run gains that one with a fault must have lost to fail."""

LAST = 20
"""Losses whose mean is where a run ends; as many at first are where it begins."""


@dataclass(frozen=True)
class Ailment:
    """A fault: the module that brings it, and the causes that are true names of it."""

    name: str
    causes: tuple[str, ...]


def ailments() -> list[Ailment]:
    """All of them."""
    found = []
    for path in sorted((ROOT / "zoo" / "ailments").glob("[a-z]*.py")):
        causes = re.search(r"^Cause: (.+)$", ast.get_docstring(ast.parse(path.read_text())) or "", re.M)
        assert causes is not None, path
        found.append(Ailment(path.stem, tuple(causes[1].split(", "))))
    return found


def given(source: str, ailment: Ailment) -> str:
    """A script that imports a fault at its first line, as early as Python lets it.

    >>> print(given('"What it does."\\nfrom __future__ import annotations\\nx = 1', Ailment("rate", ())))
    "What it does."
    from __future__ import annotations
    import sys; sys.path.append('...'); import zoo.ailments.rate
    x = 1
    """
    first = 0
    for node in ast.parse(source).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            break
        first = node.end_lineno or 0
    lines = source.split("\n")
    where = "..." if "doctest" in sys.modules else str(ROOT)
    lines.insert(first, f"import sys; sys.path.append({where!r}); import zoo.ailments.{ailment.name}")
    return "\n".join(lines)


def losses(path: Path, scratch: Path) -> list[float]:
    """Of a bare run; what is not finite is infinite. Empty if it has raised an error without making any step."""
    out = scratch / "losses.json"
    out.unlink(missing_ok=True)
    execute([sys.executable, str(ROOT / "zoo" / "bare.py"), str(out), path.name], str(scratch))
    rows = json.loads(out.read_text()) if out.exists() else []
    known = [float(row["loss"]) for row in rows if row["loss"] is not None and not row["optimizer"]]
    return [each if math.isfinite(each) else math.inf for each in known]


def fails(sound: Sequence[float], ill: Sequence[float]) -> bool:
    """Whether a run has lost half of what the sound one gains; one that gains nothing tells nothing.

    >>> fails([2.0] * 20 + [1.0] * 20, [2.0] * 20 + [1.1] * 20), fails([2.0] * 20 + [1.0] * 20, [math.inf] * 40)
    (False, True)
    """
    if len(sound) < 2 * LAST or len(ill) < 2 * LAST:
        return False
    start, end, now = (sum(each) / LAST for each in (sound[:LAST], sound[-LAST:], ill[-LAST:]))
    return end < start and not now <= end + LOST * (start - end)


def one(script: Path, ailment: Ailment, mode: str) -> Outcome | None:
    """What is said of a script with a fault; None if it bears it."""
    with TemporaryDirectory(prefix="ill-") as folder:
        scratch = Path(folder)
        well, ill = scratch / script.name, scratch / f"{script.stem}_{ailment.name}.py"
        source = script.read_text(encoding="utf-8")
        well.write_text(source)
        ill.write_text(given(source, ailment))
        if not fails(losses(well, scratch), losses(ill, scratch)):
            return None
        outcome = watch(Script(ill, ailment.causes), mode)
    outcome.name = f"{ailment.name}/{script.parent.parent.name.removesuffix('_holdout')}.{script.stem}"
    return outcome


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m zoo.injected", description=__doc__)
    known = {each.name: each for each in ailments()}
    parser.add_argument("faults", nargs="*", help=f"of {', '.join(known)}; all of them without any")
    parser.add_argument("--each", type=int, default=8, help="scripts that are given each fault")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of the scripts")
    parser.add_argument("--folder", type=Path, action="append", help="of sound scripts; the zoo's and the blind sets'")
    parser.add_argument("--mode", default="protect", help="of steadygrad run: observe, protect or repair")
    parser.add_argument("--jobs", type=int, default=2, help="scripts at a time")
    parser.add_argument("--json", type=Path, help="write the outcomes here")
    args = parser.parse_args()
    if unknown := [each for each in args.faults if each not in known]:
        parser.error(f"no fault is called {unknown[0]}; there are {', '.join(known)}")
    scripts = [path for folder in args.folder or SOURCES for path in sorted(folder.glob("*.py"))]
    draw = random.Random(args.seed)
    pairs = [
        (script, known[name])
        for name in args.faults or known
        for script in draw.sample(scripts, min(args.each, len(scripts)))
    ]
    outcomes: list[Outcome] = []
    borne = 0
    pool = ThreadPoolExecutor(args.jobs)
    try:
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("injected", total=len(pairs))
            for done in as_completed([pool.submit(one, *pair, args.mode) for pair in pairs]):
                progress.advance(task)
                if (outcome := done.result()) is None:
                    borne += 1
                else:
                    outcomes.append(outcome)
    except KeyboardInterrupt:
        print(f"stopped after {len(outcomes) + borne} of {len(pairs)}; this is what was measured", file=sys.stderr)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    outcomes.sort(key=lambda each: each.name)
    print(text(outcomes))
    print(f"{borne} of {len(pairs)} bear their fault, or gain nothing without it, and are not counted")
    if args.json:
        args.json.write_text(json.dumps([asdict(each) for each in outcomes], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
