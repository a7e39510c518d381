"""What becomes of small trainings with something broken in them: bare, and under `steadygrad.watch`.

    python benchmarks/fault_matrix.py
    python benchmarks/fault_matrix.py --bare --json fault_matrix.json
    python benchmarks/fault_matrix.py --fault huge-batch lr-grows --kind lstm --optimizer sgd adamw

The trainings and the faults are those of tests/guard/faulty_trainings.py, where they are described: an LSTM, a
transformer and a conv net with batch norm, 360 steps each, with SGD and AdamW, unfused and fused. A line a training:

    verdict     what `steadygrad` says of the recorded run; "stopped" is TrainingDiverged out of optimizer.step()
    loss        the loss on held-out batches at the end, over that of the healthy run
    bare        the same of the run that nobody watches (with --bare)
    skips       steps that were not made; "longest" is how many of them in a row
    clips       steps whose gradients were scaled
    back        how often the training was rolled back to an earlier state
    rate        how often the learning rate was lowered or brought back
    judged      "ok", or what is not as the tests of tests/guard/test_fault_matrix.py demand

A loss is as good as the healthy run's when it is at most 2 % above it after a fault that ends (5 % with one that
stays), or no higher than the worst of eight healthy runs on other batches. In brackets stands what is no error: a run
that was rescued and is called unstable all the same.
"""

import argparse
import io
import json
import math
import platform
import sys
import tempfile
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the trainings are shared with the tests

from tests.guard.faulty_trainings import (
    CELLS,
    FAULTS,
    GOOD,
    KINDS,
    OPTIMIZERS,
    bare,
    complaints,
    healthy,
    suffers,
    train,
)


@dataclass(frozen=True)
class Cell:
    """One training with one fault. Ratios are of final losses, over the healthy run's; not known is None."""

    fault: str
    kind: str
    optimizer: str
    verdict: str
    reason: str
    ratio: float | None
    bare_ratio: float | None
    skips: int
    longest: int
    clips: int
    rollbacks: int
    rate_changes: int
    stopped: str | None
    alarms: tuple[tuple[int, str], ...]
    actions: dict[str, int]
    complaints: tuple[str, ...]
    modest: bool


def measure(fault: str, kind: str, optimizer: str, record: Path, with_bare: bool) -> Cell:
    """Train once under the watch, and once bare if asked.

    Args:
        fault: one of `FAULTS`.
        kind: one of `KINDS`.
        optimizer: one of `OPTIMIZERS`.
        record: where recordings are made.
        with_bare: train the bare run too.

    Returns:
        What came of it.
    """
    sound = healthy(kind, optimizer).final
    with redirect_stderr(io.StringIO()):  # what steadygrad says while it works; the table says it in short
        outcome = train(kind, optimizer, fault, "protect", record=record)
    done = outcome.deeds
    if done is None:
        raise RuntimeError(f"{fault}, {kind}, {optimizer}: nothing was recorded")
    rescued = outcome.stopped is None and not suffers(outcome, fault, kind, optimizer)
    return Cell(
        fault=fault,
        kind=kind,
        optimizer=optimizer,
        verdict=done.verdict,
        reason=done.reason,
        ratio=_finite(outcome.final / sound),
        bare_ratio=_finite(bare(fault, kind, optimizer).final / sound) if with_bare else None,
        skips=done.lost,
        longest=done.longest_lost,
        clips=done.clips,
        rollbacks=done.rollbacks,
        rate_changes=done.rate_changes,
        stopped=None if outcome.stopped is None else str(outcome.stopped),
        alarms=done.alarms,
        actions=dict(done.actions),
        complaints=tuple(complaints(outcome, fault, kind, optimizer)),
        modest=rescued and done.verdict not in GOOD,
    )


def _finite(ratio: float) -> float | None:
    return ratio if math.isfinite(ratio) else None


def main() -> None:
    """Train, print the table, write JSON if asked."""
    parser = argparse.ArgumentParser(description="Train with a fault in it, watched, and tell what came of it.")
    parser.add_argument("--fault", nargs="+", choices=[*FAULTS], metavar="NAME", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--kind", nargs="+", choices=[*KINDS], help="only these networks")
    parser.add_argument("--optimizer", nargs="+", choices=[*OPTIMIZERS], help="only these optimizers")
    parser.add_argument("--bare", action="store_true", help="show the runs without steadygrad too")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    chosen = [
        (fault, kind, optimizer)
        for fault, kind, optimizer in CELLS
        if fault in (args.fault or FAULTS)
        and kind in (args.kind or KINDS)
        and optimizer in (args.optimizer or OPTIMIZERS)
    ]
    cells: list[Cell] = []
    with (
        tempfile.TemporaryDirectory(prefix="fault_matrix-") as scratch,
        Progress(console=Console(file=sys.stderr), redirect_stderr=False) as progress,
    ):
        task = progress.add_task("", total=len(chosen))
        for fault, kind, optimizer in chosen:
            progress.update(task, description=f"{fault}, {kind}, {optimizer}")
            cells.append(measure(fault, kind, optimizer, Path(scratch), args.bare))
            progress.advance(task)
    machine = f"{platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}"
    show(cells, machine)
    if args.json is not None:
        args.json.write_text(
            json.dumps({"machine": machine, "cells": [asdict(cell) for cell in cells]}, indent=1) + "\n"
        )


def show(cells: list[Cell], machine: str) -> None:
    """The table: a line a cell, and how many of them are as they have to be."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 170)
    table = Table(title=f"Faults in protect mode ({machine})", header_style="bold")
    for name in ("fault", "training", "verdict"):
        table.add_column(name, no_wrap=True)
    with_bare = any(cell.bare_ratio is not None for cell in cells)
    for name in ("loss", *(("bare",) if with_bare else ()), "skips", "longest", "clips", "back", "rate"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("judged")
    previous = ""
    for cell in cells:
        if previous not in ("", cell.fault):
            table.add_section()
        judged = "; ".join(cell.complaints) or ("ok (too modest)" if cell.modest else "ok")
        numbers = (cell.skips, cell.longest, cell.clips, cell.rollbacks, cell.rate_changes)
        table.add_row(
            cell.fault if cell.fault != previous else "",
            f"{cell.kind} {cell.optimizer}",
            cell.verdict,
            _ratio(cell.ratio),
            *((_ratio(cell.bare_ratio),) if with_bare else ()),
            *(str(number) for number in numbers),
            f"[{'red' if cell.complaints else 'green'}]{judged}[/]",
        )
        previous = cell.fault
    console.print(table)
    good = sum(not cell.complaints for cell in cells)
    modest = sum(cell.modest for cell in cells)
    console.print(f"{good} of {len(cells)} as they have to be; {modest} of the rescued runs are called unstable")


def _ratio(ratio: float | None) -> str:
    return "nan" if ratio is None else f"{ratio:.4f}" if ratio < 10 else f"{ratio:.3g}"


if __name__ == "__main__":
    main()
