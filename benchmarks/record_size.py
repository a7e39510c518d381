"""How large a long recording becomes, what recording costs a step, and how long its report takes.

    python benchmarks/record_size.py
    python benchmarks/record_size.py --steps 1000000 --sample-every 100

Writes a made-up run of 150 tensors through the recorder that a watched training uses, thins it by the same tiers, and
makes its report with `steadygrad report`. The recorder writes by the clock, and a made-up run is over before the clock
has moved: so it is flushed every 5,000 steps here, which is what its memory limit would enforce at this speed anyway.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from steadygrad.records import OptimizerInfo, StepRecord, TensorInfo
from steadygrad.store import Recorder, create_run, finish_run

TENSORS = 150
FLUSH_EVERY = 5_000
MILLION = 1_000_000
SIZE_BOUND = 200.0
"""Megabytes that a recording of a million steps may take."""

REPORT_BOUND = 3.0
"""Seconds that the report of a million steps may take."""


@dataclass(frozen=True)
class Size:
    """What was measured of one recording. `at_million` goes on from it at the rate of its second half."""

    steps: int
    sample_every: int
    megabytes: float
    bytes_per_step: float
    at_million: float
    microseconds_per_step: float
    report_seconds: float
    report_megabytes: float


def write(folder: Path, steps: int, sample_every: int) -> tuple[float, float, float]:
    """Record a made-up run.

    Args:
        folder: its run folder.
        steps: how many steps.
        sample_every: steps between two samples of parameter norms and update ratios; the watcher's densest is 10.

    Returns:
        Seconds spent in the recorder, and the file's megabytes at half the steps and at the end.
    """
    rng = np.random.default_rng(0)
    path = folder / "rank0-1.db"
    recorder = Recorder(path, lambda message: sys.exit(message))
    shapes = [(512, 512) if place % 2 == 0 else (512,) for place in range(TENSORS)]
    tensors = tuple(
        TensorInfo(f"layers.{i // 2}.{'bias' if i % 2 else 'weight'}", s, "float32") for i, s in enumerate(shapes)
    )
    recorder.optimizer(OptimizerInfo(0, "AdamW", tensors))
    vectors = [rng.lognormal(-2.0, 1.0, TENSORS).astype(np.float32) for _ in range(1_009)]
    blobs = [vector.tobytes() for vector in vectors]
    norms = [float(np.linalg.norm(vector)) for vector in vectors]
    began_at, spent, half = time.time(), 0.0, 0.0
    for start in range(0, steps, FLUSH_EVERY):
        end = min(steps, start + FLUSH_EVERY)
        records = []
        for step in range(start, end):
            norm, loss = norms[step % len(norms)], 2.0 + 3.0 * math.exp(-step / 20_000) + 0.1 * math.sin(step)
            records.append(StepRecord(0, step, began_at + 0.05 * step, loss, 3e-4, norm, norm, 1.0, ""))
        began = time.perf_counter()
        for record in records:
            blob = blobs[record.step % len(blobs)]
            recorder.step(record, blob)
            if record.step % sample_every == 0:
                recorder.sample(0, record.step, "param_norm", blob)
                recorder.sample(0, record.step, "update_ratio", blob)
        recorder.flush()
        spent += time.perf_counter() - began
        if start < steps / 2 <= end:
            half = path.stat().st_size / 1e6
    recorder.close()
    finish_run(folder, 0)
    return spent, half, path.stat().st_size / 1e6


def measure(steps: int, sample_every: int) -> Size:
    """Write a recording, then make its report."""
    with tempfile.TemporaryDirectory(prefix="steadygrad-bench-") as parent:
        folder = create_run(Path(parent), "made_up", "protect", ("made_up.py",))
        spent, half, whole = write(folder, steps, sample_every)
        page = Path(parent) / "report.html"
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "steadygrad", "report", str(folder), "-o", str(page)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - began
        rate = (whole - half) / (steps / 2)
        return Size(
            steps=steps,
            sample_every=sample_every,
            megabytes=whole,
            bytes_per_step=1e6 * rate,
            at_million=whole + rate * (MILLION - steps),
            microseconds_per_step=1e6 * spent / steps,
            report_seconds=seconds,
            report_megabytes=page.stat().st_size / 1e6,
        )


def main() -> None:
    """Measure, print the table, write JSON if asked."""
    parser = argparse.ArgumentParser(description="Measure how large a long recording becomes.")
    parser.add_argument("--steps", type=int, default=200_000, help="of the recording (default: 200,000)")
    parser.add_argument(
        "--sample-every", type=int, default=10, help="steps between two samples (default: 10, the watcher's densest)"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    args = parser.parse_args()
    size = measure(args.steps, args.sample_every)
    table = Table(title=f"A recording of {TENSORS} tensors", box=None, pad_edge=False, header_style="bold")
    for name in ("what", "measured", "bound", ""):
        table.add_column(name, justify="right" if name in {"measured", "bound"} else "left")
    sampled = f"sampled every {size.sample_every} steps"
    table.add_row(f"file, {size.steps:,} steps, {sampled}", f"{size.megabytes:.1f} MB", "", "")
    table.add_row("growth in the second half", f"{size.bytes_per_step:.0f} bytes a step", "", "")
    table.add_row(
        "the same at 1,000,000 steps",
        f"{size.at_million:.0f} MB",
        f"{SIZE_BOUND:.0f} MB",
        _verdict(size.at_million, SIZE_BOUND),
    )
    table.add_row("recording", f"{size.microseconds_per_step:.1f} µs a step", "", "")
    at_million = size.steps >= MILLION
    table.add_row(
        "`steadygrad report`, process and all",
        f"{size.report_seconds:.1f} s",
        f"{REPORT_BOUND:.0f} s" if at_million else f"{REPORT_BOUND:.0f} s at 1,000,000",
        _verdict(size.report_seconds, REPORT_BOUND) if at_million else "",
    )
    table.add_row("the page", f"{size.report_megabytes:.1f} MB", "", "")
    Console(highlight=False, width=None if sys.stdout.isatty() else 120).print(table)
    if args.json is not None:
        args.json.write_text(json.dumps(asdict(size), indent=1) + "\n")


def _verdict(measured: float, bound: float) -> str:
    return "[green]ok[/]" if measured <= bound else "[red]missed[/]"


if __name__ == "__main__":
    main()
