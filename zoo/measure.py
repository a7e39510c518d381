"""Run the zoo: every script bare, observed and protected; print a table and the confusion counts.

    python -m zoo.measure                        # everything
    python -m zoo.measure vae gan lbfgs          # scripts whose name contains one of these words
    python -m zoo.measure --json zoo.json --jobs 2

A script ends by printing `final loss <number>`. A docstring line `Variants: --lr 0.1 | --lr 1` runs it once for each.
What the bare run did is read by `bare.py`, not by the tool that is measured.
"""

import argparse
import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .scripts import ZOO, find
from .watched import execute, final_loss

KINDS = ("healthy", "failing")
MOST_CLIPPED = 0.01
"""Share of steps that may be clipped in a healthy run."""

SAME_LOSS = 0.005
"""By how much, of the bare final loss, the final loss of a protected healthy run may differ."""


@dataclass(frozen=True)
class Case:
    """One script with one set of arguments."""

    kind: str
    path: Path
    args: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The script's name and its arguments."""
        return " ".join((self.path.stem, *self.args))


@dataclass
class Watched:
    """What one watched run said and did."""

    verdict: str
    reason: str
    first_alarm: int | None
    alarms: dict[str, int]
    actions: dict[str, int]
    clipped: float
    final: float | None
    same_output: bool
    seconds: float
    error: str = ""


@dataclass
class Result:
    """One case, measured."""

    kind: str
    name: str
    steps: int
    start: float | None
    final: float | None
    first_nonfinite: int | None
    peak_norm: float
    explodes: bool
    observe: Watched
    protect: Watched
    faults: list[str] = field(default_factory=list)


def find_cases(words: list[str]) -> list[Case]:
    """The cases whose name contains one of the words; all of them without words."""
    return [
        Case("failing" if script.causes else "healthy", script.path, script.args)
        for script in find(words)
        if not script.stalls
    ]


def measure(case: Case) -> Result:
    """Run one case three times."""
    with TemporaryDirectory(prefix="zoo-") as scratch:
        record = Path(scratch) / "bare.json"
        command = [sys.executable, str(ZOO / "bare.py"), str(record), str(case.path), *case.args]
        bare = execute(command, scratch)
        steps = json.loads(record.read_text()) if record.exists() else []
        observe = _watched(case, "observe", Path(scratch), bare.stdout)
        protect = _watched(case, "protect", Path(scratch), bare.stdout)
    main = [step for step in steps if step["optimizer"] == 0]
    bad = [step["step"] for step in steps if not (_finite(step["loss"]) and _finite(step.get("grad_norm", "0")))]
    losses = [float(step["loss"]) for step in main if step["loss"] is not None]
    norms = [float(step["grad_norm"]) for step in steps if "grad_norm" in step and _finite(step["grad_norm"])]
    start, final = (losses[0] if losses else None), final_loss(bare.stdout)
    lost = final is None or not math.isfinite(final)
    if final is not None and not lost and start is not None and math.isfinite(start):
        lost = final > start and final > 2 * start
    result = Result(
        case.kind,
        case.name,
        len(main),
        start,
        final,
        min(bad, default=None),
        max(norms, default=math.nan),
        lost or bool(bad),
        observe,
        protect,
    )
    result.faults = _judge(result)
    if not steps:
        result.faults.append("bare run failed: " + bare.stderr.strip()[-200:])
    return result


def _judge(result: Result) -> list[str]:
    """What is wrong with how the tool took this case."""
    faults = []
    observe, protect = result.observe, result.protect
    for name, run in (("observe", observe), ("protect", protect)):
        if run.error and run.verdict != "stopped":
            faults.append(f"{name}: {run.error}")
    if result.final is not None and not observe.same_output:
        faults.append("observe changed the output")
    if result.kind == "healthy":
        if result.explodes:
            faults.append("ZOO: bare run is not healthy")
        for name, run in (("observe", observe), ("protect", protect)):
            if run.verdict != "healthy":
                faults.append(f"{name} says {run.verdict} (alarm at {run.first_alarm})")
        lost = sum(protect.actions.get(name, 0) for name in ("skip", "hold", "undo", "roll-back"))
        if lost:
            faults.append(f"{lost} steps lost")
        if protect.clipped >= MOST_CLIPPED:
            faults.append(f"{protect.clipped:.1%} clipped")
        if not protect.actions and not protect.same_output:
            faults.append("protect changed the output without an action")
        if not _same(protect.final, result.final):
            faults.append(f"final loss {_show(protect.final)} instead of {_show(result.final)}")
        return faults
    if not result.explodes:
        faults.append("ZOO: bare run does not explode")
    if observe.verdict in {"healthy", "recovered"}:
        faults.append(f"observe says {observe.verdict}")
    if observe.first_alarm is None:
        faults.append("no alarm")
    elif result.first_nonfinite is not None and observe.first_alarm > result.first_nonfinite:
        faults.append(f"alarm at {observe.first_alarm}, after the first non-finite step {result.first_nonfinite}")
    sound = protect.final is not None and math.isfinite(protect.final)
    if protect.final is not None and sound and result.start is not None and math.isfinite(result.start):
        sound = protect.final < result.start
    if protect.verdict in {"healthy", "recovered"} and not sound:
        faults.append(f"protect says {protect.verdict}, final loss {_show(protect.final)}")
    if protect.verdict == "healthy" and sound:
        faults.append("protect cured it without an alarm")
    if protect.verdict == "stopped":
        faults.append("(stopped)")
    if protect.verdict == "unstable" and not sound:
        faults.append("(not rescued)")
    if protect.verdict == "unstable" and sound:
        faults.append("(sound at the end, called unstable)")
    return faults


def _watched(case: Case, mode: str, scratch: Path, bare_output: str) -> Watched:
    summary_path = scratch / f"{mode}.json"
    command = [str(Path(sys.executable).with_name("steadygrad")), "run", "--quiet", "--mode", mode]
    command += ["--json", str(summary_path), "--out", str(scratch / mode), str(case.path), *case.args]
    began = time.perf_counter()
    done = execute(command, str(scratch))
    seconds = time.perf_counter() - began
    if not summary_path.exists():
        return Watched("missing", "", None, {}, {}, 0.0, None, False, seconds, done.stderr.strip()[-200:])
    summary = json.loads(summary_path.read_text())
    alarms: dict[str, int] = {}
    for alarm in summary["alarms"]:
        alarms[alarm["detector"]] = alarms.get(alarm["detector"], 0) + 1
    actions = summary["action_counts"]
    error = "" if done.returncode == 0 else f"exit status {done.returncode}: {done.stderr.strip()[-200:]}"
    if "let go of this run" in done.stderr:
        error = "detached: " + done.stderr.strip()[-200:]
    return Watched(
        summary["verdict"],
        summary.get("reason", ""),
        summary["first_alarm_step"],
        alarms,
        actions,
        actions.get("clip", 0) / max(1, summary["steps"]),
        final_loss(done.stdout),
        done.stdout == bare_output,
        seconds,
        error,
    )


def _finite(value: Any) -> bool:
    return value is None or math.isfinite(float(value))


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return abs(one - other) <= SAME_LOSS * abs(other) or one == other


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def table(results: list[Result]) -> str:
    """The results as text, one line a case."""
    lines = [
        f"{'case':34} {'steps':>5} {'start':>9} {'bare':>9} {'nonfin':>6} | {'observe':9} {'alarm':>5} "
        f"| {'protect':9} {'alarm':>5} {'clip%':>6} {'skip':>4} {'hold':>4} {'final':>9} | faults"
    ]
    for kind in KINDS:
        lines.append(f"-- {kind}")
        for r in (result for result in results if result.kind == kind):
            o, p = r.observe, r.protect
            lines.append(
                f"{r.name[:34]:34} {r.steps:5} {_show(r.start):>9} {_show(r.final):>9} {_step(r.first_nonfinite):>6} "
                f"| {o.verdict:9} {_step(o.first_alarm):>5} | {p.verdict:9} {_step(p.first_alarm):>5} "
                f"{100 * p.clipped:6.1f} {p.actions.get('skip', 0):4} {p.actions.get('hold', 0):4} "
                f"{_show(p.final):>9} | {'; '.join(r.faults)}"
            )
    return "\n".join(lines)


def _step(value: int | None) -> str:
    return "-" if value is None else str(value)


def confusion(results: list[Result]) -> str:
    """The counts of alarms against what is true, by mode."""
    lines = []
    for mode in ("observe", "protect"):
        counts = {(kind, alarmed): 0 for kind in KINDS for alarmed in (False, True)}
        for result in results:
            counts[result.kind, getattr(result, mode).first_alarm is not None] += 1
        lines.append(
            f"{mode}: failing {counts['failing', True]} alarmed, {counts['failing', False]} missed; "
            f"healthy {counts['healthy', False]} quiet, {counts['healthy', True]} false alarms"
        )
    clean = sum(not any(not fault.startswith("(") for fault in result.faults) for result in results)
    rescued = sum(r.kind == "failing" and r.protect.verdict == "recovered" for r in results)
    lines.append(f"{clean} of {len(results)} cases without a fault; {rescued} exploding runs recovered")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the zoo.")
    parser.add_argument("words", nargs="*", help="run only cases whose name contains one of these")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    args = parser.parse_args()
    cases = find_cases(args.words)
    results: list[Result] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in as_completed([pool.submit(measure, case) for case in cases]):
            results.append(done.result())
            last = results[-1]
            word = "; ".join(last.faults) or "as it should be"
            print(f"[{len(results)}/{len(cases)}] {last.kind}/{last.name}: {word}", file=sys.stderr, flush=True)
    order = {case.name: place for place, case in enumerate(cases)}
    results.sort(key=lambda result: order[result.name])
    print(table(results))
    print(confusion(results))
    if args.json:
        args.json.write_text(json.dumps([asdict(result) for result in results], indent=1))


if __name__ == "__main__":
    main()
