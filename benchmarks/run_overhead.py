"""What watching costs: whole-run overhead of two language models on the CPU, and the start-up of `steadygrad run`.

    python benchmarks/run_overhead.py
    python benchmarks/run_overhead.py --quick --json overhead.json
    python benchmarks/run_overhead.py --peers

Two processes train the same model from the same seed, one bare and one inside `sg.watch(...)` in protect mode with
recording. They never run at once: the parent lets each make a step in turn (bare, watched, watched, bare, ...), so
that whatever else the machine does falls on both. Two equal processes differ by some percent for as long as they live,
so there are several such races between fresh processes: the table has the mean over the races of each race's median
ratio, and a 95 % interval between races. No absolute time means anything here.

The watcher chooses by the clock how often it samples and takes snapshots. Its clock stands still while the bare process
makes its steps: otherwise everything that is paced would come twice as often as it does.

Wall time is what a user waits; on a shared machine it is also what the neighbours do. So the judgement goes by the
processor time of the training process, and by what the watcher itself counts: "ok" when the interval's upper end and
the count are within the bound, "missed" when its lower end or the count is beyond, else "unclear".

`--peers` measures in the same way what else people add to a training: clipping, anomaly mode, `wandb.watch` and three
tools that look for instability. They are no dependencies of this project. Those that are not installed are skipped; in
an environment of its own, with torch and this project already in it:

    pip install wandb stabilityguard trainscope torchmortem

A median passes over what a tool does only now and then, so the table also has the mean: the processor time of all
timed steps, over that of the bare ones. Not in it are the first steps, and what a tool does in other processes. The
row "nothing" is a second bare training.
"""

import argparse
import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import numpy as np
import torch
from clock import Clock
from contenders import BARE, CONTENDERS, PEERS, STEADYGRAD
from rich.console import Console
from rich.table import Table
from torch import nn
from workloads import WORKLOADS

START_UP_BOUND = 0.3
"""Seconds that `steadygrad run` may add to the start of a script that imports torch."""


@dataclass(frozen=True)
class Overhead:
    """The measured overhead of one contender on one workload, as fractions of the bare time.

    `wall` and `cpu` come from the races' medians over steps, `mean` from the processor time of all steps; each has its
    95 % interval. `own` is what the contender says it has spent, over the time that its training ran: the set-up at the
    first step is in it too. `acted` is how often it has changed a step. Only steadygrad has a bound and a verdict.
    """

    workload: str
    contender: str
    parameters: int
    steps: int
    wall: float
    wall_interval: tuple[float, float]
    cpu: float
    cpu_interval: tuple[float, float]
    mean: float
    mean_interval: tuple[float, float]
    own: float | None
    acted: int
    bound: float | None
    verdict: str


def work(key: str, contender: str, folder: str, threads: int, commands: Connection) -> None:
    """Train in this process, as many steps as each number received says, until None comes.

    Args:
        key: the workload.
        contender: what is added to it.
        folder: where to run; what would be printed is written there too.
        threads: of torch.
        commands: receives how many steps to make; is sent (wall seconds, processor seconds) of them. At the end it is
            sent the contender's own seconds (None if it counts none), how often it acted, and the number of parameters.
    """
    os.chdir(folder)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    workload = WORKLOADS[key]
    model = workload.model()
    with Path(f"{contender}.txt").open("w") as printed, redirect_stdout(printed):
        attached = CONTENDERS[contender].attach(model, workload.optimizer(list(model.parameters())))
        optimizer = attached.optimizer
        batches = workload.batches()
        made = 0
        clock = Clock()
        clock.install()
        clock.stop()
        while (steps := commands.recv()) is not None:
            clock.go_on()
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(steps):
                tokens = batches[made % len(batches)]
                with attached.around():
                    loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
                    optimizer.zero_grad()
                    loss.backward()
                attached.before_step(loss)
                optimizer.step()
                attached.after_step(loss)
                made += 1
            times = time.perf_counter() - wall, time.process_time() - cpu
            clock.stop()
            commands.send(times)
        clock.go_on()
        seconds, acted = attached.finish()
    commands.send((seconds, acted, sum(param.numel() for param in model.parameters())))


@dataclass(frozen=True)
class Race:
    """Two fresh processes that made their steps in turn.

    `times` has the axes pair of steps, process (bare, contender), and wall or processor seconds; `running` is the wall
    time that the contender's training ran, `seconds` what it says it has spent itself.
    """

    times: np.ndarray
    running: float
    seconds: float | None
    acted: int
    parameters: int


def race(key: str, contender: str, *, pairs: int, warm_up: int, threads: int) -> Race:
    """Time one workload bare and with a contender, in turns.

    Args:
        key: the workload.
        contender: what is added to it.
        pairs: how many pairs of steps are timed.
        warm_up: steps of each process before that.
        threads: of torch.

    Returns:
        The times.

    Raises:
        EOFError: a training stopped with an error, which it has printed.
        ConnectionError: the same.
    """
    context = multiprocessing.get_context("spawn")
    ends: list[Connection] = []
    processes = []
    with tempfile.TemporaryDirectory(prefix="steadygrad-bench-") as folder:
        try:
            for which in (BARE, contender):
                here, there = context.Pipe()
                process = context.Process(target=work, args=(key, which, folder, threads, there), daemon=True)
                process.start()
                there.close()
                ends.append(here)
                processes.append(process)
            running = _block(ends[1], warm_up)[0]
            _block(ends[0], warm_up)
            times = np.zeros((pairs, 2, 2))
            for pair in range(pairs):
                for which in (0, 1) if pair % 2 == 0 else (1, 0):
                    times[pair, which] = _block(ends[which], 1)
            reports = []
            for end in ends:
                end.send(None)
                reports.append(end.recv())
        except (EOFError, ConnectionError):
            for process in processes:
                process.terminate()
            raise
        finally:
            for process in processes:
                process.join()
    seconds, acted, parameters = reports[1]
    return Race(times, running + float(times[:, 1, 0].sum()), seconds, acted, parameters)


def measure(key: str, contender: str, *, races: int, pairs: int, warm_up: int, threads: int) -> Overhead:
    """The overhead of a contender over several races between fresh processes.

    Two equal processes differ by some percent for as long as they live: where memory came to lie, which core they are
    on. So the intervals are those between races, not between the steps of one.

    Args:
        key: the workload.
        contender: what is added to it.
        races: how many.
        pairs: pairs of steps of each.
        warm_up: steps of each process before that.
        threads: of torch.

    Returns:
        The overhead.

    Raises:
        EOFError: a training stopped with an error, which it has printed.
        ConnectionError: the same.
    """
    workload = WORKLOADS[key]
    run = [race(key, contender, pairs=pairs, warm_up=warm_up, threads=threads) for _ in range(races)]
    walls, cpus = (
        over_races([float(np.median(each.times[:, 1, clock] / each.times[:, 0, clock])) - 1.0 for each in run])
        for clock in (0, 1)
    )
    mean = over_races([float(each.times[:, 1, 1].sum() / each.times[:, 0, 1].sum()) - 1.0 for each in run])
    acted = sum(each.acted for each in run)
    counts = [each.seconds / each.running for each in run if each.seconds is not None]
    own = float(np.mean(counts)) if counts else None
    bound, verdict = None, ""
    if contender == STEADYGRAD:
        if acted:
            raise SystemExit(f"{workload.name}: the watcher has changed the training, so this is no healthy run")
        assert own is not None
        bound = workload.bound
        low, high = cpus[1]
        if max(high, own) <= bound:
            verdict = "ok"
        else:
            verdict = "missed" if max(low, own) > bound else "unclear"
    return Overhead(
        workload=workload.name,
        contender=CONTENDERS[contender].label() or contender,
        parameters=run[0].parameters,
        steps=races * (warm_up + pairs),
        wall=walls[0],
        wall_interval=walls[1],
        cpu=cpus[0],
        cpu_interval=cpus[1],
        mean=mean[0],
        mean_interval=mean[1],
        own=own,
        acted=acted,
        bound=bound,
        verdict=verdict,
    )


def over_races(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The mean of some races, with a 95 % interval from drawing the races anew, 2,000 times.

    >>> over_races([0.5, 0.5, 0.5])
    (0.5, (0.5, 0.5))
    """
    known = np.array(values)
    drawn = known[np.random.default_rng(0).integers(len(known), size=(2_000, len(known)))].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(known.mean()), (float(low), float(high))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """A 95 % interval of the median, from the order of the values alone.

    >>> interval(range(100))
    (40, 60)
    """
    ordered = sorted(values)
    reach = 0.98 * math.sqrt(len(ordered))
    first = max(0, math.floor(len(ordered) / 2 - reach))
    last = min(len(ordered) - 1, math.ceil(len(ordered) / 2 + reach))
    return ordered[first], ordered[last]


def start_up(times: int) -> tuple[list[float], list[float]]:
    """What `steadygrad run` adds to a script that only imports torch.

    Args:
        times: how many pairs of starts.

    Returns:
        Seconds of wall time added, and of processor time (parent and script together), one of each a pair.
    """
    added: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="steadygrad-bench-") as folder:
        script = Path(folder) / "only_torch.py"
        script.write_text("import torch\n")
        bare = [sys.executable, str(script)]
        watched = [sys.executable, "-m", "steadygrad", "run", "--quiet", "--out", folder, str(script)]
        for command in (bare, watched):
            _timed(command)  # the files are in the page cache from here on
        for place in range(times):
            order = (bare, watched) if place % 2 == 0 else (watched, bare)
            times_of = {id(command): _timed(command) for command in order}
            for kind in (0, 1):
                added[kind].append(times_of[id(watched)][kind] - times_of[id(bare)][kind])
    return added


def main() -> None:
    """Measure, print the table, write JSON if asked."""
    parser = argparse.ArgumentParser(description="Measure what watching costs.")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--quick", action="store_true", help="fewer steps: a look, with a wide interval")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of the trainings (default: 1)")
    parser.add_argument("--only", choices=[*WORKLOADS, "start-up"], help="measure this one alone")
    parser.add_argument("--peers", action="store_true", help="measure clipping, anomaly mode and other tools as well")
    args = parser.parse_args()
    races, pairs, warm_up, starts = (3, 10, 4, 3) if args.quick else (5, 50, 8, 9)
    console = Console(stderr=True, highlight=False)

    contenders = {}
    for contender in (STEADYGRAD, *PEERS) if args.peers else (STEADYGRAD,):
        label = CONTENDERS[contender].label()
        if label is None:
            name, package = CONTENDERS[contender].name, CONTENDERS[contender].package
            console.print(f"{name}: skipped, the package {package} is not installed")
        else:
            contenders[contender] = label
    overheads = []
    for key, workload in WORKLOADS.items():
        if args.only not in (None, key):
            continue
        for contender, label in contenders.items():
            console.print(f"{workload.name}, {label}: {races} races of {pairs} pairs of steps ...")
            try:
                overheads.append(
                    measure(key, contender, races=races, pairs=pairs, warm_up=warm_up, threads=args.threads)
                )
            except (EOFError, ConnectionError):
                if contender == STEADYGRAD:
                    raise
                console.print(f"{workload.name}, {label}: stopped with an error (above), so it has no row")
    added: tuple[list[float], list[float]] = ([], [])
    if args.only in (None, "start-up"):
        console.print(f"start-up: {starts} pairs of starts ...")
        added = start_up(starts)

    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}"
    )
    table = Table(title=f"Overhead over bare training ({machine})", box=None, pad_edge=False, header_style="bold")
    for name in ("what", "contender", "wall time", "processor time", "its mean", "own count", "bound", ""):
        table.add_column(name, justify="left" if name in {"what", "contender", ""} else "right")
    for each in overheads:
        table.add_row(
            f"{each.workload}, {each.parameters / 1e6:.1f} M, {each.steps} steps",
            each.contender,
            _with_interval(each.wall, each.wall_interval),
            _with_interval(each.cpu, each.cpu_interval),
            _with_interval(each.mean, each.mean_interval),
            "" if each.own is None else _percent(each.own),
            "" if each.bound is None else _percent(each.bound),
            _colored(each.verdict) if each.verdict else (f"acted {each.acted} times" if each.acted else ""),
        )
    if added[0]:
        verdict = "ok" if median(added[0]) <= START_UP_BOUND else "missed"
        table.add_row(
            f"start-up, {len(added[0])} starts",
            "steadygrad run",
            *(f"{median(each):.2f} s ({min(each):.2f} to {max(each):.2f})" for each in added),
            "",
            "",
            f"{START_UP_BOUND:.2f} s",
            _colored(verdict),
        )
    Console(highlight=False, width=None if sys.stdout.isatty() else 190).print(table)
    if args.json is not None:
        result = {
            "machine": machine,
            "overhead": [asdict(each) for each in overheads],
            "start_up": {"wall_seconds": added[0], "processor_seconds": added[1], "bound": START_UP_BOUND},
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def _block(end: Connection, steps: int) -> tuple[float, float]:
    end.send(steps)
    return end.recv()


def _timed(command: list[str]) -> tuple[float, float]:
    """Wall seconds and processor seconds of a command and its children."""
    began, before = time.perf_counter(), os.times()
    # An installed package is compiled, by pip or by its first start: its start is not to be measured without that.
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=compiled)
    wall, after = time.perf_counter() - began, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _with_interval(fraction: float, interval: tuple[float, float]) -> str:
    return f"{_percent(fraction)} ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})"


def _colored(verdict: str) -> str:
    return f"[{({'ok': 'green', 'missed': 'red'}).get(verdict, 'yellow')}]{verdict}[/]"


if __name__ == "__main__":
    main()
