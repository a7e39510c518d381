"""One script under `steadygrad run`: what was said of it."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .scripts import FirstBad, Script, fixed

TIMEOUT = 300.0


@dataclass
class Outcome:
    """What the tool said of one run, beside what is true of it."""

    name: str
    causes: tuple[str, ...]
    verdict: str = "missing"
    reason: str = ""
    first_alarm: int | None = None
    found: list[dict[str, Any]] = field(default_factory=list)
    first_nonfinite: dict[str, Any] | None = None
    true_step: int | None = None
    located: bool | None = None
    overhead: float = 0.0
    seconds: float = 0.0
    final: float | None = None
    actions: dict[str, int] = field(default_factory=dict)
    error: str = ""

    @property
    def named(self) -> list[str]:
        """The causes that were named, the best supported first."""
        return [each["cause"] for each in self.found]

    @property
    def alarmed(self) -> bool:
        """Whether the tool found anything wrong."""
        return self.first_alarm is not None

    def right(self, within: int) -> bool:
        """Whether the true cause is among the first ones that were named."""
        return any(cause in self.causes for cause in self.named[:within])


def watch(script: Script, mode: str, *, mended: bool = False, keep: Path | None = None) -> Outcome:
    """Run a script watched, in a folder of its own.

    Args:
        script: which.
        mode: of `steadygrad run`.
        mended: with its one-line fix made; then it is a healthy one.
        keep: a folder for the run folder; None for none.
    """
    outcome = Outcome(script.name + (" (fixed)" if mended else ""), () if mended else script.causes)
    with TemporaryDirectory(prefix="zoo-") as scratch:
        path = Path(scratch) / script.path.name
        text = script.path.read_text(encoding="utf-8")
        path.write_text(fixed(text) if mended else text, encoding="utf-8")
        summary = Path(scratch) / "summary.json"
        folder = Path(scratch) / "runs" if keep is None else keep
        command = [str(Path(sys.executable).with_name("steadygrad")), "run", "--quiet", "--mode", mode]
        # A fix is that of the script as it stands: arguments might undo it.
        command += ["--json", str(summary), "--out", str(folder), path.name, *(() if mended else script.args)]
        began = time.perf_counter()
        done = execute(command, scratch)
        outcome.seconds = time.perf_counter() - began
        if summary.exists():
            _read(outcome, json.loads(summary.read_text()), None if mended or mode != "observe" else script.first_bad)
        outcome.final = final_loss(done.stdout)
        if done.returncode or "let go of this run" in done.stderr:
            outcome.error = f"status {done.returncode}: {done.stderr.strip()[-300:]}"
    return outcome


def _read(outcome: Outcome, summary: dict[str, Any], truth: FirstBad | None) -> None:
    """`truth` is that of a bare run: one that is protected may never get so far."""
    outcome.verdict, outcome.reason = summary["verdict"], summary["reason"]
    outcome.first_alarm, outcome.found = summary["first_alarm_step"], summary["findings"]
    outcome.first_nonfinite, outcome.actions = summary["first_nonfinite"], summary["action_counts"]
    outcome.overhead = float(summary["overhead"]["fraction"])
    if truth is not None:
        outcome.true_step = truth.step
        outcome.located = _located(summary["first_nonfinite"], truth)


def _located(found: dict[str, Any] | None, truth: FirstBad) -> bool:
    """Whether the first bad number was found at the right step, in the right phase, made by the right operation."""
    if found is None or (found["step"], found["phase"]) != (truth.step, truth.phase):
        return False
    op = _plain(found["op"] or "")
    return truth.phase in ("data", "optimizer") or op in (_plain(truth.op), _plain(_snake(truth.node)))


def _snake(node: str) -> str:
    """The operation that a node of the graph is the backward of: "PowBackward0" is that of "pow"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", re.sub(r"Backward\d*$", "", node)).lower()


def _plain(op: str) -> str:
    """An operation's name as people write it."""
    name = re.sub(r"^_+|_+$|_?backward\d*$|_?default$", "", op.lower())
    return {"addmm": "mm", "linear": "mm", "matmul": "mm", "bmm": "mm", "baddbmm": "mm", "true_divide": "div"}.get(
        name, name
    )


def execute(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, on one thread; status 124 if it takes too long."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    # An installed package is compiled, by pip or by its first start, as torch is: that is what is timed.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=folder, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"longer than {TIMEOUT} s")


def final_loss(output: str) -> float | None:
    """The number that a script has printed last as its final loss."""
    found = re.findall(r"^final loss (\S+)$", output, re.MULTILINE)
    return float(found[-1]) if found else None
