"""One run of a demo's script, in a process of its own, and what it has printed."""

import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _config
from .._autostart.launch import environment
from .._i18n import language
from ..rescue import Started, run_group
from ..store import create_run, finish_run
from .cures import BARE, Cure, remedies

STEP = re.compile(r"step (\d+)/(\d+)\s+loss (\S+)")
RESULT = re.compile(r"result: (.+)")

Told = Callable[[int, int, float], None]
"""Is told a step, of how many, and its loss."""


@dataclass
class Attempt:
    """What one run of a script has printed.

    Attributes:
        cure: what was applied, and how it was run.
        optimizer: "sgd" or "adam".
        seed: of the script.
        arguments: what else it was given.
        losses: by step.
        results: what stands in its last line, by name.
        status: its exit status.
        seconds: all of it, the start of Python included.
        run: the run folder, if it was watched.
        errors: the end of what it has printed, if it failed.
    """

    cure: Cure
    optimizer: str
    seed: int
    arguments: tuple[str, ...] = ()
    losses: list[float] = field(default_factory=list)
    results: dict[str, float] = field(default_factory=dict)
    status: int = 0
    seconds: float = 0.0
    run: Path | None = None
    errors: str = ""

    @property
    def first_nonfinite(self) -> int | None:
        """The first step whose loss was not finite."""
        return next((step for step, loss in enumerate(self.losses) if not math.isfinite(loss)), None)

    @property
    def failed(self) -> bool:
        """Whether the script did not come to its last line."""
        return self.status != 0 or not self.results

    def to_dict(self) -> dict[str, Any]:
        """As the JSON has it; floats in it may be NaN."""
        return {
            "cure": self.cure.id,
            "optimizer": self.optimizer,
            "seed": self.seed,
            "arguments": list(self.arguments),
            "steps": len(self.losses),
            "first_nonfinite_step": self.first_nonfinite,
            "final_loss": self.losses[-1] if self.losses else None,
            "results": self.results,
            "seconds": self.seconds,
            "run": None if self.run is None else str(self.run),
        }


def make(attempt: Attempt, script: Path, steps: int, out: Path, told: Told, started: Started) -> Attempt:
    """Run the script to its end; what it prints is put into the attempt.

    Args:
        attempt: what is to be run.
        script: the file.
        steps: of the training.
        out: where run folders are made.
        told: is told each step.
        started: is told the process.
    """
    command = (sys.executable, str(script), "--steps", str(steps), "--seed", str(attempt.seed))
    command += ("--optimizer", attempt.optimizer, "--log-every", "1", *attempt.arguments)
    began = time.monotonic()
    env, attempt.run = _environment(attempt, command, steps, out)
    printed: list[str] = []

    def read(line: str) -> None:
        step, result = STEP.search(line), RESULT.match(line)
        if step:
            attempt.losses.append(float(step[3]))
            told(int(step[1]), int(step[2]), attempt.losses[-1])
        elif result:
            attempt.results = parse_result(result[1])
        elif line.strip():
            printed.append(line.rstrip())

    status = _follow(command, env, read, started)
    attempt.status = -9 if status is None else status
    if attempt.run is not None:
        finish_run(attempt.run, status)
    attempt.seconds = time.monotonic() - began
    attempt.errors = "\n".join(each for each in printed if not each.startswith("steadygrad:"))[-800:]
    return attempt


def parse_result(line: str) -> dict[str, float]:
    """The names and values of a script's last line.

    Example:
        >>> parse_result("accuracy 0.91, majority class accuracy nan")
        {'accuracy': 0.91, 'majority class accuracy': nan}
    """
    pairs = (part.rsplit(" ", 1) for part in line.strip().split(", "))
    return {name: float(value) for name, value in pairs}


def _environment(
    attempt: Attempt, command: tuple[str, ...], steps: int, out: Path
) -> tuple[dict[str, str], Path | None]:
    """The environment of the process, and its run folder if it is watched."""
    # A model this small trains as fast on one thread, and runs stay comparable on a busy machine.
    single = {"OMP_NUM_THREADS": "1"}
    chosen = remedies(attempt.cure, attempt.optimizer, steps)
    if attempt.cure.mode != BARE:
        run = create_run(out, Path(command[1]).stem, attempt.cure.mode, command)
        config = _config.ChildConfig(str(run.resolve()), attempt.cure.mode, lang=language(), remedies=chosen)
        return {**single, **environment(config)}, run
    if chosen:
        config = _config.ChildConfig(str(out.resolve()), _config.UNWATCHED, remedies=chosen)
        return {**single, **environment(config)}, None
    return {**single, **os.environ}, None


def _follow(command: Sequence[str], env: dict[str, str], read: Callable[[str], None], started: Started) -> int | None:
    """Run a command, and read its lines while it writes them."""
    source, sink = os.pipe()

    def lines() -> None:
        with open(source, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                read(line)

    reader = threading.Thread(target=lines)
    reader.start()
    try:
        return run_group(command, env, Path.cwd(), sink, None, started)
    finally:
        os.close(sink)
        reader.join()
