"""Rescue every failing script of the zoo, three ways: by `rescue`, by random remedies with as many trials, by `repair`.

    python -m zoo.rescued                      # everything: long
    python -m zoo.rescued learning-rate        # scripts whose name contains one of these words
    python -m zoo.rescued --ways repair        # one way

A run is rescued if its final loss is within a tenth of the way from that of the fixed script to the start: the one
that it prints, or, in mode `repair`, the mean of the last that it has trained with if it prints none. Where the fix
changes the unit of the loss (a mean in place of a sum), shares of the first loss are compared. One that falls far below
the fixed run has run away along a loss without a minimum, and is not rescued. The scripts whose cause can be repaired
from outside are listed first, before anything is measured.
"""

import argparse
import json
import math
import random
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from steadygrad._watch.live_remedies import LIVE
from steadygrad.diagnosis import open_run
from steadygrad.remedies import REMEDIES
from steadygrad.rescue import OUTPUT, LocalExecutor, Rescue, Workspace
from steadygrad.trials import everything

from .scripts import ZOO, Script, find, fixed
from .watched import execute, final_loss

WAYS = ("rescue", "random", "repair")

LAST = 20
"""Losses that are averaged where a script prints none."""

NEAR = 0.1
"""Share of the way from the fixed run to the start within which a run is rescued."""

OTHER_UNITS = frozenset({"loss-scale"})
"""Causes whose fix changes the unit of the loss."""

FROM_OUTSIDE = {cause for each in REMEDIES if each.outside for cause in each.removes}
"""Causes that some remedy takes away from outside."""

IN_PLACE = set(LIVE)
"""Causes that mode repair puts right while a training goes on."""


@dataclass
class Rescued:
    """One script, rescued in each way. Losses are the `final loss` that it prints."""

    name: str
    causes: tuple[str, ...]
    fixed: float | None = None
    start: float | None = None
    bare_seconds: float = 0.0
    finals: dict[str, float | None] = field(default_factory=dict)
    rescued: dict[str, bool] = field(default_factory=dict)
    proven: str | None = None
    right: bool = False
    winner: str | None = None
    trials: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    can_be: dict[str, bool] = field(default_factory=dict)
    error: str = ""


def can_be_rescued(script: Script, way: str) -> bool:
    """Whether a script's cause can be repaired from outside."""
    return bool((IN_PLACE if way == "repair" else FROM_OUTSIDE) & set(script.causes))


def rescue(script: Script, ways: tuple[str, ...], jobs: int, seed: int = 0) -> Rescued:
    """Rescue one script."""
    outcome = Rescued(script.name, script.causes, can_be={way: can_be_rescued(script, way) for way in WAYS})
    with TemporaryDirectory(prefix="zoo-") as scratch:
        folder = Path(scratch)
        text = script.path.read_text(encoding="utf-8")
        (folder / "fixed.py").write_text(fixed(text), encoding="utf-8")
        path = folder / script.path.name
        path.write_text(text, encoding="utf-8")
        # A fix is that of the script as it stands: arguments might undo it.
        began = time.perf_counter()
        done = execute([sys.executable, str(ZOO / "bare.py"), "fixed.json", "fixed.py"], scratch)
        outcome.bare_seconds = time.perf_counter() - began
        outcome.fixed = final_loss(done.stdout)
        if outcome.fixed is None:
            outcome.fixed = _last_losses(folder / "fixed.json")
        outcome.start = _first_loss(folder / "fixed.json")
        first = _start(script, folder)
        if "rescue" in ways:
            _by_trials(outcome, "rescue", script, folder, jobs, None, first)
        if "random" in ways:
            order = everything()
            random.Random(f"{seed} {script.name}").shuffle(order)
            _by_trials(outcome, "random", script, folder, jobs, order[: outcome.trials or 8], first)
        if "repair" in ways:
            _by_repair(outcome, script, folder, first)
    return outcome


def _by_trials(outcome, way, script, folder, jobs, candidates, first) -> None:
    began = time.perf_counter()
    command = (sys.executable, script.path.name, *script.args)
    executor = LocalExecutor(jobs)
    rescuing = Rescue(
        command,
        script.path.stem,
        folder / way,
        executor,
        Workspace(folder, True, (folder / "rescue", folder / "random")),
        candidates=candidates,
        threads=1,
    )
    result = rescuing.run()
    outcome.seconds[way] = time.perf_counter() - began
    winner = None if result.proof is None else result.proof.winner
    final = None
    if winner is not None and winner.candidate is not None:
        printed = next((result.run / "trials").glob(f"{winner.number:02d}-*")) / OUTPUT
        final = final_loss(printed.read_text(encoding="utf-8", errors="replace"))
    outcome.finals[way] = final
    outcome.rescued[way] = _is_rescued(outcome, final, first, in_units=winner is not None)
    if way == "rescue":
        outcome.trials = len(result.trials)
        outcome.proven = None if result.proof is None else result.proof.cause
        outcome.right = outcome.proven in script.causes
        outcome.winner = None if winner is None else winner.name


def _by_repair(outcome: Rescued, script: Script, folder: Path, first: float | None) -> None:
    command = [str(Path(sys.executable).with_name("steadygrad")), "run", "--quiet", "--mode", "repair"]
    command += ["--out", str(folder / "repair"), script.path.name, *script.args]
    began = time.perf_counter()
    done = execute(command, str(folder))
    outcome.seconds["repair"] = time.perf_counter() - began
    final = final_loss(done.stdout)
    if final is None:
        final = _last_recorded(folder / "repair")
    outcome.finals["repair"] = final
    outcome.rescued["repair"] = _is_rescued(outcome, final, first, in_units=True)
    if done.returncode:
        outcome.error = done.stderr.strip()[-200:]


def _start(script: Script, folder: Path) -> float | None:
    """The first loss of the script as it is."""
    execute([sys.executable, str(ZOO / "bare.py"), "failing.json", script.path.name, *script.args], str(folder))
    return _first_loss(folder / "failing.json")


def _first_loss(path: Path) -> float | None:
    return next(iter(_losses(path)), None)


def _last_losses(path: Path) -> float | None:
    """Of the training that was written of a bare run; the one with most steps, where there are several."""
    last = _losses(path)[-LAST:]
    return sum(last) / len(last) if last else None


def _losses(path: Path) -> list[float]:
    rows = json.loads(path.read_text()) if path.exists() else []
    counts = Counter(row.get("optimizer") for row in rows)
    most = max(counts, key=lambda each: counts[each], default=None)
    return [float(row["loss"]) for row in rows if row.get("optimizer") == most and row["loss"] is not None]


def _last_recorded(folder: Path) -> float | None:
    """The same of a watched run."""
    recording = open_run(next(folder.iterdir())).main if folder.is_dir() else None
    counts = {} if recording is None else recording.step_counts()
    if recording is None or not counts:
        return None
    steps = recording.steps(max(counts, key=lambda each: counts[each]))
    last = steps.loss[steps.loss_known][-LAST:]
    return float(last.mean()) if len(last) else None


def _is_rescued(outcome: Rescued, final: float | None, first: float | None, *, in_units: bool) -> bool:
    good, start = outcome.fixed, outcome.start
    if final is None or not math.isfinite(final) or good is None or start is None or not math.isfinite(good):
        return False
    if in_units and first and start and OTHER_UNITS & set(outcome.causes):
        final, good, start = final / first, good / start, 1.0
    way = max(0.0, start - good)
    return good - max(way, abs(good)) <= final <= good + NEAR * way


def table(outcomes: list[Rescued], ways: tuple[str, ...]) -> str:
    """A line a script, and the shares."""
    lines = [f"{'script':48} {'start':>9} {'fixed':>9} " + " ".join(f"{way:>12}" for way in ways) + "  proven, winner"]
    for each in outcomes:
        finals = " ".join(f"{_show(each.finals.get(way))}{'+' if each.rescued.get(way) else '-':>2}" for way in ways)
        mark = "=" if each.right else "!"
        lines.append(
            f"{each.name[:48]:48} {_show(each.start)} {_show(each.fixed)} {finals}  {mark} {each.proven}, {each.winner}"
        )
    for way in ways:
        able = [each for each in outcomes if each.can_be[way]]
        good = sum(each.rescued.get(way, False) for each in able)
        all_good = sum(each.rescued.get(way, False) for each in outcomes)
        spent = sum(each.seconds.get(way, 0.0) for each in outcomes) / max(1e-9, sum(e.bare_seconds for e in outcomes))
        lines.append(
            f"{way}: rescued {good} of {len(able)} that can be ({good / max(1, len(able)):.0%}), "
            f"{all_good} of {len(outcomes)} in all; {spent:.1f} times the fixed run"
        )
    if "rescue" in ways:
        right = sum(each.right for each in outcomes)
        lines.append(f"proven: the true cause of {right} of {len(outcomes)} ({right / max(1, len(outcomes)):.0%})")
    return "\n".join(lines)


def _show(value: float | None) -> str:
    return f"{'-' if value is None else format(value, '.3g'):>9}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m zoo.rescued", description=__doc__)
    parser.add_argument("words", nargs="*", help="only scripts whose name contains one of these")
    parser.add_argument("--ways", default=",".join(WAYS), help="which of rescue,random,repair")
    parser.add_argument("--folder", type=Path, default=ZOO, help="another folder with `failing`")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th of them: a sample")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--json", type=Path, help="write the outcomes here")
    args = parser.parse_args()
    ways = tuple(args.ways.split(","))
    scripts = [each for each in find(args.words, args.folder) if each.causes][:: args.every]
    for way in ways:
        able = [each.name for each in scripts if can_be_rescued(each, way)]
        print(
            f"{way}: {len(able)} of {len(scripts)} have a cause that can be repaired from outside:", *able, sep="\n  "
        )
    outcomes: list[Rescued] = []
    try:
        for script in scripts:
            outcomes.append(rescue(script, ways, args.jobs))
            last = outcomes[-1]
            print(
                f"[{len(outcomes)}/{len(scripts)}] {table([last], ways).splitlines()[1]}", file=sys.stderr, flush=True
            )
    except KeyboardInterrupt:
        print(f"stopped after {len(outcomes)}; this is what was measured", file=sys.stderr)
    print(table(outcomes, ways))
    if args.json:
        args.json.write_text(json.dumps([asdict(each) for each in outcomes], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
