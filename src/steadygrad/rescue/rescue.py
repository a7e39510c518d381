"""Whole short re-runs of a script, one change each: which change mends it, and what that proves."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import _config
from .._autostart.launch import environment
from .._i18n import say
from ..diagnosis import JudgedRun, open_run
from ..errors import UsageError
from ..findings import Finding
from ..store import create_run, finish_run
from ..trials import Candidate, Proof, Series, Trial, everything, faulty, mended, mends, plan, prove
from .change import Change, change
from .executors import Executor
from .job import OUTPUT, Job, run_group
from .workspace import Workspace

SCHEMA = "steadygrad.rescue/1"

RESCUE = "rescue.json"
"""File of the result in the run folder."""

LONG = 60.0
"""Seconds of a run from which trials begin short."""

RUNG = 4
"""By how much a trial grows that goes on, and how far behind the onset a short one goes."""

LEAST = 200
"""Steps of a short trial at least."""

PATIENCE = 5.0
"""Times the watched run that a trial may take, and two minutes in any case: a run that has failed early is short."""


@dataclass
class Events:
    """What is told while a rescue goes on. Each is called with what it is about."""

    watched: Callable[[JudgedRun], None] = lambda run: None
    planned: Callable[[int, str], None] = lambda count, what: None
    tried: Callable[[Trial, bool], None] = lambda trial, mended: None


@dataclass
class Result:
    """What a rescue came to.

    Attributes:
        run: the folder of the watched run; trials lie in it.
        verdict: of the watched run.
        proof: what the trials have shown.
        trials: in the order in which they ended, controls first.
        change: what to change in the script; None if nothing has helped.
        budget_spent: whether there was no time for more.
        interrupted: whether it was ended by the user.
        trained: whether the script has made a step at all.
        seconds: all of it.
        watched_seconds: the watched run alone.
    """

    run: Path
    verdict: str
    command: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    controls: list[Trial] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    proof: Proof | None = None
    change: Change | None = None
    budget_spent: bool = False
    interrupted: bool = False
    trained: bool = True
    seconds: float = 0.0
    watched_seconds: float = 0.0

    @property
    def nothing_wrong(self) -> bool:
        """Whether the run did not go wrong in the first place."""
        return self.verdict == "healthy"

    def to_dict(self) -> dict[str, Any]:
        """The object that `--json` writes."""
        proof, winner = self.proof, None if self.proof is None else self.proof.winner
        mended = set() if proof is None else {each.number for each in proof.mended}
        return {
            "schema": SCHEMA,
            "run": str(self.run),
            "command": list(self.command),
            "verdict": self.verdict,
            "deterministic": None if proof is None else proof.deterministic,
            "cause": None if proof is None else proof.cause,
            "findings": [asdict(each) for each in (self.findings if proof is None else proof.findings)],
            "controls": [each.to_dict() for each in self.controls],
            "trials": [{**each.to_dict(), "mends": each.number in mended} for each in self.trials],
            "winner": None if winner is None else winner.to_dict(),
            "change": None if self.change is None else asdict(self.change),
            "budget_spent": self.budget_spent,
            "interrupted": self.interrupted,
            "seconds": {"all": self.seconds, "watched": self.watched_seconds},
        }


class Rescue:
    """One rescue of one script.

    Args:
        command: the script's command line.
        stem: its short name.
        out: the folder for run folders.
        executor: who runs the trials.
        workspace: where they run.
        budget: seconds after which no trial is begun; None for no limit.
        candidates: what to try in place of what the diagnosis says.
        events: are told what happens.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        stem: str,
        out: Path,
        executor: Executor,
        workspace: Workspace,
        *,
        budget: float | None = None,
        candidates: Sequence[Candidate] | None = None,
        threads: int | None = None,
        events: Events | None = None,
    ) -> None:
        self._command = command
        self._executor = executor
        self._workspace = workspace
        self._budget = budget
        self._candidates = candidates
        self._threads = threads
        self._events = events or Events()
        self._began = time.monotonic()
        self._folder = create_run(out, stem, "observe", command)
        self.result = Result(self._folder, "unobserved", command)
        self._number = 0
        self._optimizer = 0
        self._place = workspace.folder

    def run(self) -> Result:
        """Watch the script, try what its diagnosis says, and judge. Ctrl-C ends it with what is known."""
        try:
            self._watch()
            if self._is_over():
                self.result.budget_spent = True
            elif self.result.trained and not self.result.nothing_wrong:
                self._control()
                self._try()
        except KeyboardInterrupt:
            self.result.interrupted = True
            self._executor.stop()
        self._conclude()
        return self.result

    # The parts, in order.

    def _watch(self) -> None:
        """The script as it is, watched and not touched: what went wrong, and how long it takes."""
        config = _config.ChildConfig(str(self._folder.resolve()), "observe")
        env = environment(config)
        if self._threads is not None:
            env.setdefault("OMP_NUM_THREADS", str(self._threads))
        began = time.monotonic()
        with self._workspace.place() as place, open(self._folder / OUTPUT, "wb") as output:
            command = self._workspace.moved(self._command, place)
            self._place = place
            try:
                status = run_group(command, env, place, output.fileno(), self._left())
            except OSError as error:
                told = {"command": command[0], "error": error.strerror or error}
                raise UsageError(say("cannot start {command}: {error}", **told)) from None
        self.result.budget_spent = status is None
        self.result.watched_seconds = time.monotonic() - began
        finish_run(self._folder, status)
        self._recorded = open_run(self._folder)
        self.result.trained = self._recorded.main is not None
        self.result.verdict = self._recorded.verdict
        self.result.findings = tuple(map(self._at_home, self._recorded.findings()))
        self._events.watched(self._recorded)

    def _control(self) -> None:
        """The script as it is once more, tallied as trials are: what is noise."""
        self._events.planned(1, say("control"))
        for trial in self._executor.run([self._job(None, None)]):
            self._optimizer = faulty(trial.several)
            self.result.controls.append(trial.of(self._optimizer))
            self._events.tried(trial, False)
        watched = self._watched_series()
        if self.result.controls and watched is not None:
            control = self.result.controls[0]
            offset = len(control.series.losses) - len(watched.losses)
            aligned = Series(control.series.losses[max(0, offset) :])
            seconds = self.result.watched_seconds
            if aligned.like(watched) or control.error:
                # The watched run is the second control: it has not touched the training.
                self.result.controls.append(Trial(None, control.series, seconds=seconds))
            elif not self._is_over():
                for trial in self._executor.run([self._job(None, None)]):
                    self.result.controls.append(trial.of(self._optimizer))
                    self._events.tried(trial, False)

    def _try(self) -> None:
        candidates = list(self._candidates) if self._candidates is not None else plan(self.result.findings)
        if not candidates:
            candidates = everything()
        self._run_all(candidates)
        if self._candidates is None and not self._sound(self.result.trials) and not self._is_over():
            tried = {each.candidate.remedy for each in self.result.trials if each.candidate}
            self._run_all([each for each in everything() if each.remedy not in tried])

    def _run_all(self, candidates: Sequence[Candidate]) -> None:
        """Short trials first where the script is long; those that are sound go on, and the best to the end."""
        rungs = self._rungs()
        going = list(candidates)
        for place, steps in enumerate(rungs):
            self._events.planned(len(going), say("trials"))
            ended: list[Trial] = []
            # As many at a time as are run at a time: between them there is time to look at the clock.
            for first in range(0, len(going), self._executor.jobs):
                if self._is_over():
                    self.result.budget_spent = True
                    break
                batch = going[first : first + self._executor.jobs]
                for whole in self._executor.run([self._job(each, steps) for each in batch]):
                    trial = whole.of(self._optimizer)
                    ended.append(trial)
                    self.result.trials.append(trial)
                    self._events.tried(trial, self._mends(trial))
            sound = sorted(self._sound(ended), key=lambda each: each.series.end)
            if place + 1 < len(rungs):
                kept = max(2, (len(sound) + 1) // 2) if place + 2 < len(rungs) else 2
                going = [each.candidate for each in sound[:kept] if each.candidate is not None and not each.whole]
            if not going:
                break

    def _conclude(self) -> None:
        result = self.result
        if result.controls:
            latest: dict[str, Trial] = {}
            for trial in result.trials:
                latest[trial.name] = trial  # a longer one is the better witness
            controls = [self._as_long(each, list(latest.values())) for each in result.controls]
            result.proof = prove(result.findings, controls, list(latest.values()))
            chosen = result.proof.proving or result.proof.winner
            if chosen is not None and chosen.candidate is not None:
                finding = next((each for each in result.findings if each.cause == result.proof.cause), None)
                result.change = change(chosen.candidate, finding, self._lines(), self._workspace.folder)
        result.seconds = time.monotonic() - self._began

    # What they share.

    def _job(self, candidate: Candidate | None, steps: int | None) -> Job:
        self._number += 1
        name = "control" if candidate is None else candidate.remedy
        folder = self._folder / "trials" / f"{self._number:02d}-{name}"
        timeout = max(120.0, PATIENCE * self.result.watched_seconds)
        left = self._left()
        limit = timeout if left is None else min(timeout, max(10.0, left))
        return Job(self._command, self._workspace, folder, candidate, steps, limit, self._threads, self._number)

    def _rungs(self) -> list[int | None]:
        """The steps of each round; None for the script's own end."""
        summary = self._recorded.summary()
        whole, onset = summary["steps"], summary["first_alarm_step"] or 0
        short = max(LEAST, RUNG * onset)
        if self.result.watched_seconds < LONG or short * RUNG > whole:
            return [None]
        rungs: list[int | None] = []
        while short * RUNG <= whole:
            rungs.append(short)
            short *= RUNG
        return [*rungs, None]

    def _mends(self, trial: Trial) -> bool:
        return mends(trial, [self._as_long(each, [trial]) for each in self.result.controls])

    def _sound(self, trials: Sequence[Trial]) -> list[Trial]:
        return mended(trials, [self._as_long(each, trials) for each in self.result.controls])

    @staticmethod
    def _as_long(control: Trial, trials: Sequence[Trial]) -> Trial:
        """A control as far as trials have come, so that like is compared with like."""
        steps = max((len(each.series.losses) for each in trials), default=0)
        return control.shortened(steps) if 0 < steps < len(control.series.losses) else control

    def _watched_series(self) -> Series | None:
        main = self._recorded.main
        if main is None:
            return None
        counts = main.step_counts()
        if self._optimizer not in counts:
            return None
        steps = main.steps(self._optimizer)
        return Series(
            [float(loss) if known else None for loss, known in zip(steps.loss, steps.loss_known, strict=True)]
        )

    def _lines(self) -> dict[str, str]:
        """Lines of the user's code that the watched run knows."""
        main = self._recorded.main
        if main is None:
            return {}
        found: dict[str, str] = {}
        for each in main.observations():
            for name, line in (each.detail.get("lines") or {}).items():
                if line:
                    found.setdefault(name, self._home(line))
        return found

    def _at_home(self, finding: Finding) -> Finding:
        return finding if finding.line is None else replace(finding, line=self._home(finding.line))

    def _home(self, line: str) -> str:
        """A line of the copy that the script has run in, as one of the user's folder."""
        return line.replace(f"{self._place}/", f"{self._workspace.folder}/")

    def _left(self) -> float | None:
        return None if self._budget is None else max(1.0, self._budget - (time.monotonic() - self._began))

    def _is_over(self) -> bool:
        return self._budget is not None and time.monotonic() - self._began >= self._budget
