"""What watching costs: whole-run overhead of two language models on the CPU, and the start-up of `steadygrad run`.

    python benchmarks/run_overhead.py
    python benchmarks/run_overhead.py --quick --json overhead.json

Two processes train the same model from the same seed, one bare and one inside `sg.watch(...)` in protect mode with
recording. They never run at once: the parent lets each make a step in turn (bare, watched, watched, bare, ...), so
that whatever else the machine does falls on both. Only ratios within one run are reported, as medians over these pairs
with their 95 % intervals; no absolute time means anything here.

Wall time is what a user waits; on a shared machine it is also what the neighbours do. So the judgement goes by the
processor time of the training process, and by what the watcher itself counts: "ok" when the interval's upper end and
the count are within the bound, "missed" when its lower end or the count is beyond, else "unclear".
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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import steadygrad as sg

VOCABULARY = 1_000
"""Tokens of the two language models."""

START_UP_BOUND = 0.3
"""Seconds that `steadygrad run` may add to the start of a script that imports torch."""


class LstmModel(nn.Module):
    """Embedding, two LSTM layers, decoder: 5.2 M parameters."""

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.lstm = nn.LSTM(width, width, num_layers=2)
        self.decoder = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token, of tokens (time, batch)."""
        return self.decoder(self.lstm(self.embedding(tokens))[0])


class TransformerModel(nn.Module):
    """Embedding, six pre-norm encoder layers with a causal mask, decoder: 11.4 M parameters."""

    def __init__(self, width: int = 384, layers: int = 6) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        layer = nn.TransformerEncoderLayer(width, 6, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.decoder = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next token, of tokens (batch, time)."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        return self.decoder(self.body(self.embedding(tokens), mask=mask, is_causal=True))


def _adamw(params: Sequence[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(params, lr=3e-4)


def _sgd(params: Sequence[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.5)


@dataclass(frozen=True)
class Workload:
    """A training whose steps are timed: `shape` is that of the tokens, `bound` the overhead allowed."""

    name: str
    model: Callable[[], nn.Module]
    optimizer: Callable[[Sequence[Tensor]], torch.optim.Optimizer]
    shape: tuple[int, int]
    bound: float


WORKLOADS = {
    "lstm": Workload("LSTM language model, SGD", LstmModel, _sgd, (35, 16), 0.02),
    "transformer": Workload("transformer, AdamW", TransformerModel, _adamw, (8, 64), 0.01),
}


@dataclass(frozen=True)
class Overhead:
    """The measured overhead of one workload, as fractions of the bare time.

    `wall` and `cpu` are medians over pairs of steps, each with its 95 % interval. `own` is what the watcher says it has
    spent, over the time that the watched training ran: rare work (a sample, a write, the set-up at the first step) is
    in it, which a median passes over.
    """

    workload: str
    parameters: int
    steps: int
    wall: float
    wall_interval: tuple[float, float]
    cpu: float
    cpu_interval: tuple[float, float]
    own: float
    bound: float
    verdict: str


def work(key: str, watched: bool, record: str, threads: int, commands: Connection) -> None:
    """Train in this process, as many steps as each number received says, until None comes.

    Args:
        key: the workload.
        watched: whether inside `sg.watch`.
        record: the folder for the run folder.
        threads: of torch.
        commands: receives how many steps to make; is sent (wall seconds, processor seconds) of them. At the end it is
            sent the watcher's own seconds (0 for a bare training), whether it acted, and the number of parameters.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    workload = WORKLOADS[key]
    model = workload.model()
    optimizer = workload.optimizer(list(model.parameters()))
    watch = sg.watch(model, optimizer, record=record) if watched else None
    batches = [torch.randint(VOCABULARY, workload.shape) for _ in range(16)]
    made = 0
    while (steps := commands.recv()) is not None:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            tokens = batches[made % len(batches)]
            loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            made += 1
        commands.send((time.perf_counter() - wall, time.process_time() - cpu))
    seconds, acted = 0.0, False
    if watch is not None:
        watch.close()
        assert watch.run is not None
        summary = sg.open_run(watch.run).summary()
        seconds, acted = summary["overhead"]["seconds"], bool(summary["action_counts"])
    commands.send((seconds, acted, sum(param.numel() for param in model.parameters())))


def measure(key: str, *, pairs: int, warm_up: int, threads: int) -> Overhead:
    """Time one workload bare and watched, in turns.

    Args:
        key: the workload.
        pairs: how many pairs of steps are timed.
        warm_up: steps of each process before that.
        threads: of torch.

    Returns:
        The overhead.
    """
    context = multiprocessing.get_context("spawn")
    workload = WORKLOADS[key]
    with tempfile.TemporaryDirectory(prefix="steadygrad-bench-") as record:
        ends: list[Connection] = []
        processes = []
        for watched in (False, True):
            here, there = context.Pipe()
            process = context.Process(target=work, args=(key, watched, record, threads, there), daemon=True)
            process.start()
            there.close()
            ends.append(here)
            processes.append(process)
        running = _block(ends[1], warm_up)[0]
        _block(ends[0], warm_up)
        walls: list[float] = []
        cpus: list[float] = []
        for pair in range(pairs):
            times = [(0.0, 0.0), (0.0, 0.0)]
            for which in (0, 1) if pair % 2 == 0 else (1, 0):
                times[which] = _block(ends[which], 1)
            running += times[1][0]
            walls.append(times[1][0] / times[0][0] - 1.0)
            cpus.append(times[1][1] / times[0][1] - 1.0)
        reports = []
        for end, process in zip(ends, processes, strict=True):
            end.send(None)
            reports.append(end.recv())
            process.join()
    seconds, acted, parameters = reports[1]
    if acted:
        raise SystemExit(f"{workload.name}: the watcher has changed the training, so this is no healthy run")
    low, high = interval(cpus)
    own = seconds / running
    if max(high, own) <= workload.bound:
        verdict = "ok"
    else:
        verdict = "missed" if max(low, own) > workload.bound else "unclear"
    return Overhead(
        workload=workload.name,
        parameters=parameters,
        steps=warm_up + pairs,
        wall=median(walls),
        wall_interval=interval(walls),
        cpu=median(cpus),
        cpu_interval=(low, high),
        own=own,
        bound=workload.bound,
        verdict=verdict,
    )


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
    args = parser.parse_args()
    pairs, warm_up, starts = (30, 4, 3) if args.quick else (200, 8, 9)
    console = Console(stderr=True, highlight=False)

    overheads = []
    for key, workload in WORKLOADS.items():
        if args.only in (None, key):
            console.print(f"{workload.name}: {pairs} pairs of steps ...")
            overheads.append(measure(key, pairs=pairs, warm_up=warm_up, threads=args.threads))
    added: tuple[list[float], list[float]] = ([], [])
    if args.only in (None, "start-up"):
        console.print(f"start-up: {starts} pairs of starts ...")
        added = start_up(starts)

    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}"
    )
    table = Table(title=f"Overhead of watching ({machine})", box=None, pad_edge=False, header_style="bold")
    for name in ("what", "wall time", "processor time", "its own count", "bound", ""):
        table.add_column(name, justify="left" if name in {"what", ""} else "right")
    for each in overheads:
        table.add_row(
            f"{each.workload}, {each.parameters / 1e6:.1f} M, {each.steps} steps",
            _with_interval(each.wall, each.wall_interval),
            _with_interval(each.cpu, each.cpu_interval),
            _percent(each.own),
            _percent(each.bound),
            _colored(each.verdict),
        )
    if added[0]:
        verdict = "ok" if median(added[0]) <= START_UP_BOUND else "missed"
        table.add_row(
            f"start-up of `steadygrad run`, {len(added[0])} starts",
            *(f"{median(each):.2f} s ({min(each):.2f} to {max(each):.2f} s)" for each in added),
            "",
            f"{START_UP_BOUND:.2f} s",
            _colored(verdict),
        )
    Console(highlight=False, width=None if sys.stdout.isatty() else 150).print(table)
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
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def _with_interval(fraction: float, interval: tuple[float, float]) -> str:
    return f"{_percent(fraction)} ({_percent(interval[0])} to {_percent(interval[1])})"


def _colored(verdict: str) -> str:
    return f"[{({'ok': 'green', 'missed': 'red'}).get(verdict, 'yellow')}]{verdict}[/]"


if __name__ == "__main__":
    main()
