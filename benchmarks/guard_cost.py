"""What protect mode with snapshots costs, as a share of the step time of the language models in workloads.py.

    python benchmarks/guard_cost.py
    python benchmarks/guard_cost.py --workload transformer
    python benchmarks/guard_cost.py --quick --json guard_cost.json

Rows: observe, protect without snapshots, protect. Two measurements, from the same trainings:

    paired      One training, whose steps are watched in short blocks and bare in others: watched, bare, bare, watched.
                Two equal processes differ by several percent for as long as they live; here model, memory and process
                are the same, and what is left is what else the machine does. The mean difference over all groups of
                four blocks, over the mean bare time, with a 95 % interval from drawing the groups anew. Bare steps
                still pass torch's calls to our hooks, which return at once: some microseconds.
    own count   What the watcher has added up itself over the watched steps (`overhead` in the facts of its recording),
                with the least and the largest of the trainings, and where it has spent it. The first step, which sets
                everything up, stands beside it, in steps' worth.

The watcher chooses by the clock how often it samples and takes snapshots. Its clock stands still in the bare blocks:
otherwise a step would seem to take twice as long as it does, and everything that is paced would come twice as often.

"around it" is the time in the hooks of a step that the watcher does not count. Processor time is less disturbed by
others than wall time, and the judgement of the pairs goes by it. No absolute time means anything on another machine.
"""

import argparse
import inspect
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from clock import Clock
from rich.console import Console
from rich.table import Table
from run_overhead import over_races
from torch import nn
from workloads import WORKLOADS

import steadygrad as sg
from steadygrad._snapshot import SnapshotRing
from steadygrad._tap import StepTap
from steadygrad._watch.journal import Journal
from steadygrad._watch.sampler import Sampler
from steadygrad._watch.session import Session
from steadygrad.measure import UpdateProbe

OBSERVE, WITHOUT, PROTECT = "observe", "protect, no snapshots", "protect"

ROWS: dict[str, dict[str, Any]] = {
    OBSERVE: {"mode": "observe"},
    WITHOUT: {"mode": "protect", "snapshot_memory": 0},
    PROTECT: {"mode": "protect"},
}
"""What is measured, and the options of `sg.watch` that make it."""

PROTECT_BOUND = 0.02
SNAPSHOT_BOUND = 0.01
"""Shares of the step time of the LSTM that protect mode may cost, and that its snapshots alone may."""

PARTS: dict[str, tuple[tuple[type, str], ...]] = {
    "recording": ((Journal, "step"), (Journal, "sample")),
    "sampling": ((Sampler, "begin"), (Sampler, "end")),
    "update probe": ((UpdateProbe, "before"), (Session, "look_at_move")),
    "hooks": ((StepTap, "_enter"), (StepTap, "_leave")),
}
"""The methods whose time makes a part; none calls another one's, but for the hooks, in which all the others happen."""

SPLIT = ("measuring, judging", "recording", "sampling", "update probe", "snapshots")
"""The parts of the own count: snapshots are counted by their ring, and the first is what is left."""


@dataclass(frozen=True)
class Count:
    """What the watcher of one training had spent by some moment: seconds, those of the parts among them, and steps."""

    seconds: float
    parts: dict[str, float]
    steps: int
    elapsed: float

    def __sub__(self, other: "Count") -> "Count":
        parts = {name: seconds - other.parts[name] for name, seconds in self.parts.items()}
        return Count(self.seconds - other.seconds, parts, self.steps - other.steps, self.elapsed - other.elapsed)


@dataclass(frozen=True)
class Training:
    """One process. `times` has the axes group, (bare, watched), (wall, processor seconds).

    `first` is the count after the first step, `rest` what came after it; `recorded` the seconds in the facts of the
    recording, `final` the watcher's own at that moment.
    """

    times: np.ndarray
    first: Count
    rest: Count
    recorded: float
    final: float
    acted: int
    snapshots: list[int]
    snapshot_bytes: int
    held: int
    parameter_bytes: int


def train(key: str, row: str, groups: int, block: int, warm_up: int, threads: int) -> Training:
    """Train in this process, watched and bare in turn.

    Args:
        key: the workload.
        row: how it is watched.
        groups: how many groups of four blocks are timed.
        block: steps of a block.
        warm_up: watched steps before that; they belong to the own count.
        threads: of torch.

    Returns:
        The times and counts.

    Raises:
        RuntimeError: the watcher has let go of the training, or some step was not counted.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    workload = WORKLOADS[key]
    model = workload.model()
    optimizer = workload.optimizer(list(model.parameters()))
    batches = workload.batches()
    clock = Clock()
    clock.install()
    parts = {name: _timed(*methods) for name, methods in PARTS.items()}
    taken: list[int] = []
    _noted(taken)
    made = 0

    def steps(number: int) -> tuple[float, float]:
        nonlocal made
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(number):
            tokens = batches[made % len(batches)]
            loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            made += 1
        return time.perf_counter() - wall, time.process_time() - cpu

    with tempfile.TemporaryDirectory(prefix="steadygrad-bench-") as folder:
        watch = sg.watch(model, optimizer, record=folder, **ROWS[row])
        said: list[str] = []
        watch.say = lambda line: said.append(line)
        watcher = watch._watcher
        watched = watcher._chosen
        assert watched is not None

        def count() -> Count:
            session = next(iter(watcher.trainings))
            seconds = {name: sum(calls) for name, calls in parts.items()}
            seconds["snapshots"] = session.recovery.ring.seconds
            return Count(watcher.spent, seconds, session.step, running)

        running = steps(1)[0]
        first = count()
        running += steps(warm_up)[0]
        times = np.zeros((groups, 2, 2))
        for group in range(groups):
            for on in (1, 0, 0, 1) if group % 2 == 0 else (0, 1, 1, 0):
                if on:
                    watched.add(optimizer)
                    clock.go_on()
                else:
                    watched.discard(optimizer)
                    clock.stop()
                took = steps(block)
                times[group, on] += took
                running += took[0] if on else 0.0
        clock.go_on()
        rest = count() - first
        if watcher.dead or rest.steps != warm_up + 2 * block * groups:
            raise RuntimeError(f"the watcher has let go of the training: {said}")
        session = next(iter(watcher.trainings))
        ring = session.recovery.ring
        held = [each for each in (*ring._proven, ring._young, ring._spare) if each is not None]
        size = watcher.trainings.parts(session, optimizer).size()
        watch.close()
        assert watch.run is not None
        summary = sg.open_run(watch.run).summary()
        recorded = summary["overhead"]["seconds"]
        acted = sum(summary["action_counts"].values())
    params = sum(param.numel() * param.element_size() for param in model.parameters())
    return Training(times, first, rest, recorded, watcher.spent, acted, taken, size, len(held), params)


@dataclass(frozen=True)
class Cost:
    """What a row costs, as shares of the step time, but for `first_step`: that is in steps.

    `own_range` has the least and the largest count of any training. `snapshots` is how many a training takes on
    average, `every` the median number of steps between two, `memory` what is held at the end, over the size of the
    parameters.
    """

    row: str
    steps: int
    wall: float
    wall_interval: tuple[float, float]
    cpu: float
    cpu_interval: tuple[float, float]
    own: float
    own_range: tuple[float, float]
    with_first: float
    split: dict[str, float]
    around: float
    first_step: float
    snapshots: float
    every: float | None
    memory: float
    snapshot_bytes: int
    acted: int
    differences: list[float]


def cost(row: str, trainings: list[Training]) -> Cost:
    """What the trainings of a row say."""
    times = np.concatenate([each.times for each in trainings])
    wall, cpu = (_differences(times[:, :, clock]) for clock in (0, 1))
    seconds = sum(each.rest.seconds for each in trainings)
    running = sum(each.rest.elapsed for each in trainings)
    inside = {name: sum(each.rest.parts[name] for each in trainings) for name in trainings[0].rest.parts}
    around = inside.pop("hooks") - seconds
    shares = [each.rest.seconds / each.rest.elapsed for each in trainings]
    split = {name: inside.get(name, seconds - sum(inside.values())) / running for name in SPLIT}
    step = running / sum(each.rest.steps for each in trainings)
    gaps = [later - sooner for each in trainings for sooner, later in pairwise(each.snapshots)]
    for each in trainings:
        if abs(each.recorded - each.final) > 1e-6 + 1e-6 * each.final:
            raise RuntimeError(f"the recording says {each.recorded:.4f} s, the watcher {each.final:.4f} s")
    return Cost(
        row=row,
        steps=sum(each.rest.steps for each in trainings),
        wall=over_races(wall)[0],
        wall_interval=over_races(wall)[1],
        cpu=over_races(cpu)[0],
        cpu_interval=over_races(cpu)[1],
        own=seconds / running,
        own_range=(min(shares), max(shares)),
        with_first=sum(each.recorded for each in trainings) / (running + sum(e.first.elapsed for e in trainings)),
        split=split,
        around=around / running,
        first_step=sum(each.first.seconds for each in trainings) / len(trainings) / step,
        snapshots=sum(len(each.snapshots) for each in trainings) / len(trainings),
        every=median(gaps) if gaps else None,
        memory=max(each.snapshot_bytes * each.held / each.parameter_bytes for each in trainings),
        snapshot_bytes=trainings[0].snapshot_bytes,
        acted=sum(each.acted for each in trainings),
        differences=cpu,
    )


def verdict(what: str, own: float, paired: tuple[float, tuple[float, float]], bound: float) -> str:
    """A bound in words: what both measurements say of it.

    >>> verdict("snapshots", 0.004, (0.005, (0.001, 0.009)), 0.01)
    'snapshots: 0.40 % of 1 % by its own count, 0.50 % (0.10 to 0.90) in pairs: holds'
    """
    low, high = paired[1]
    if max(own, low) > bound:
        word = "does not hold"
    elif low < high <= bound:
        word = "holds"
    else:
        word = "holds by the count; the pairs are too coarse to tell"
    said = f"{_percent(own)} of {100 * bound:g} % by its own count"
    return f"{what}: {said}, {_with_interval(*paired)} in pairs: {word}"


def main() -> None:
    """Measure, print the tables and the verdict, write JSON if asked."""
    parser = argparse.ArgumentParser(description="Measure what protect mode with snapshots costs.")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--workload", choices=list(WORKLOADS), default="lstm", help="the training (default: lstm)")
    parser.add_argument("--quick", action="store_true", help="fewer steps: a look, with a wide interval")
    parser.add_argument("--processes", type=int, help="trainings of each row, in fresh processes (default: 3)")
    parser.add_argument("--groups", type=int, help="groups of four blocks in each (default: 16)")
    parser.add_argument("--block", type=int, default=4, help="steps of a block (default: 4)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of the trainings (default: 1)")
    args = parser.parse_args()
    processes, groups = args.processes or (1 if args.quick else 3), args.groups or (4 if args.quick else 16)
    console = Console(stderr=True, highlight=False)
    workload = WORKLOADS[args.workload]
    known = inspect.signature(sg.watch).parameters
    rows = [row for row, options in ROWS.items() if all(name in known for name in options)]
    for row in ROWS:
        if row not in rows:
            console.print(f"{row}: skipped, this version has no such option")
    load = [os.getloadavg()[0]]
    found: dict[str, list[Training]] = {row: [] for row in rows}
    # Row after row in each round: whatever the machine does for some minutes falls on all of them.
    for place in range(processes):
        for row in rows:
            console.print(
                f"{workload.name}, {row}: {place + 1} of {processes}, {groups} groups of 4 x {args.block} ..."
            )
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
                work = fresh.submit(train, args.workload, row, groups, args.block, 8, args.threads)
                found[row].append(work.result())
            load.append(os.getloadavg()[0])
    costs = {row: cost(row, trainings) for row, trainings in found.items()}
    for each in costs.values():
        if each.acted:
            raise SystemExit(f"{each.row}: the watcher has changed the training, so this is no healthy run")

    machine = (
        f"{os.cpu_count()} cores with a load of {min(load):.1f} to {max(load):.1f}, {platform.machine()}, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
    wide = Console(highlight=False, width=None if sys.stdout.isatty() else 190)
    wide.print(_costs_table(f"{workload.name}: share of the step time ({machine})", costs))
    wide.print(_split_table("Where the own count goes, after the first step", costs))
    lines = _verdicts(costs) if args.workload == "lstm" else []
    for line in lines:
        wide.print(line)
    if args.json is not None:
        result = {
            "machine": machine,
            "workload": workload.name,
            "rows": [asdict(each) for each in costs.values()],
            "verdict": lines,
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def _verdicts(costs: dict[str, Cost]) -> list[str]:
    protect, without = costs[PROTECT], costs.get(WITHOUT)
    lines = [verdict("protect with snapshots", protect.own, (protect.cpu, protect.cpu_interval), PROTECT_BOUND)]
    snapshots = protect.split["snapshots"]
    if without is None:
        lines.append(f"snapshots alone: {_percent(snapshots)} of {100 * SNAPSHOT_BOUND:g} % by its own count")
    else:
        # The groups of two rows have nothing to do with each other: any pairing gives the interval of the difference.
        apart = [a - b for a, b in zip(protect.differences, without.differences, strict=True)]
        lines.append(verdict("snapshots alone", snapshots, over_races(apart), SNAPSHOT_BOUND))
    return lines


def _costs_table(title: str, costs: dict[str, Cost]) -> Table:
    table = Table(title=title, box=None, pad_edge=False, header_style="bold")
    columns = ("watched steps", "paired: wall", "paired: processor", "own count", "with the first step", "first step")
    table.add_column("")
    for name in (*columns, "snapshots"):
        table.add_column(name, justify="right")
    for each in costs.values():
        every = "" if each.every is None else f", every {each.every:g} steps, {each.memory:.1f} x the parameters"
        table.add_row(
            each.row,
            str(each.steps),
            _with_interval(each.wall, each.wall_interval),
            _with_interval(each.cpu, each.cpu_interval),
            _with_interval(each.own, each.own_range),
            _percent(each.with_first),
            f"{each.first_step:.2f} steps",
            f"{each.snapshots:g} a training{every}" if each.snapshots else "none",
        )
    return table


def _split_table(title: str, costs: dict[str, Cost]) -> Table:
    table = Table(title=title, box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in (*SPLIT, "together", "around it"):
        table.add_column(name, justify="right")
    for each in costs.values():
        shares = (*(each.split[name] for name in SPLIT), each.own, each.around)
        table.add_row(each.row, *(f"{100 * share:.3f} %" for share in shares))
    return table


def _timed(*methods: tuple[type, str]) -> list[float]:
    """Make some methods note how long each call takes; returns the list in which they do."""
    calls: list[float] = []

    def timing(method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                calls.append(time.perf_counter() - began)

        return timed

    for owner, name in methods:
        setattr(owner, name, timing(getattr(owner, name)))
    return calls


def _noted(taken: list[int]) -> None:
    """Make the ring of snapshots note the steps after which it takes one."""
    take = SnapshotRing.take

    def noting(ring: SnapshotRing, step: int, *args: Any, **kwargs: Any) -> None:
        take(ring, step, *args, **kwargs)
        if not ring.off:
            taken.append(step)

    SnapshotRing.take = noting  # pyright: ignore[reportAttributeAccessIssue]


def _differences(times: np.ndarray) -> list[float]:
    """Of each group: watched less bare time, over the mean bare time."""
    return [float(value) for value in (times[:, 1] - times[:, 0]) / times[:, 0].mean()]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _with_interval(fraction: float, interval: tuple[float, float]) -> str:
    return f"{_percent(fraction)} ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})"


if __name__ == "__main__":
    main()
