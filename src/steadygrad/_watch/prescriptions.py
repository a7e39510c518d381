"""What the evidence of an alarm asks for: the findings that are sure enough, each with what may be done about it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..diagnosis import diagnose
from ..diagnosis.case import ALIKE, FIRST
from ..errors import SteadygradError
from ..findings import Finding
from ..store import Run, open_run
from ..trials import Candidate, candidates
from .journal import Journal
from .live_remedies import ASKED_FOR, DRIVEN, LASTING, LIVE, OWN, SKIPPED
from .session import Session

SURE = 0.5
"""Confidence from which a finding is acted upon."""

REPEATED = 4
"""Steps lost in a row from which leaving batches out is no cure."""

APART = 8
"""Steps after which an outlier is another one."""


class Prescriptions:
    """What may be done about the alarms of one process' trainings.

    Args:
        journal: what is recorded: the findings are those of the recording so far.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.outliers: dict[int, int] = {}
        """The step of the last outlier of each training: it is over, and explains nothing that comes later."""

    def wanted(self, session: Session) -> Iterator[tuple[Finding, Candidate]]:
        """Findings that are sure enough, each with what may be done about it."""
        for finding in self._findings(session):
            if finding.confidence < SURE:
                continue
            lasts = LASTING & finding.evidence.keys() or _came_with_the_state(finding)
            over = not (lasts or self._recurs(session, finding) or _insists(session))
            if finding.cause in SKIPPED and over:
                return  # leaving the step out, or going back, has been the remedy
            names = LIVE.get(finding.cause, ())
            named = [name for name in names if name in finding.remedies]
            if finding.cause in DRIVEN and not seen_first(finding) and session.stall.never_fell():
                named = ["lower-learning-rate"]
            others = () if OWN & finding.evidence.keys() else names
            for name in dict.fromkeys([*named, *others]):
                if name == "divide-loss-by-accumulation-steps" and not finding.evidence.get("passes"):
                    continue
                if name in ASKED_FOR and name not in finding.remedies:
                    continue
                yield from ((finding, candidate) for candidate in candidates(name, finding))

    def _recurs(self, session: Session, finding: Finding) -> bool:
        """Whether this is not the first outlier: data that is gone through again has it each time."""
        if finding.cause != "outlier-batch":
            return False
        last = self.outliers.get(session.index)
        if last is None or session.step - last > APART:
            self.outliers[session.index] = session.step
        return last is not None and session.step - last > APART

    def _findings(self, session: Session) -> Sequence[Finding]:
        """What the recording says, best supported first: of a training that has had an outlier what came after it."""
        folder = self._journal.folder
        if folder is None:
            return ()
        self._journal.flush()
        try:
            run, last = open_run(Path(folder)), self.outliers.get(session.index)
            if last is None or not _looked_since(run, session.index, last + APART):
                return diagnose(run)  # nothing else is known of this alarm
            # An alarm may be about steps before the one that raises it.
            return diagnose(run, {session.index: last + APART}) or diagnose(run, {session.index: last})
        except SteadygradError:
            return ()  # a recording that cannot be read now is no evidence


def _came_with_the_state(finding: Finding) -> bool:
    """Whether state was damaged when the run began: there is nothing sound to go back to."""
    return finding.cause == "corrupt-state" and finding.step is not None and finding.step <= ALIKE


def seen_first(finding: Finding) -> bool:
    """Whether a fault was there in the very first pass."""
    return finding.evidence.get("seen_in") == FIRST


def _looked_since(run: Run, optimizer: int, step: int) -> bool:
    """Whether a pass of a training was computed again after a step."""
    seen = [] if run.main is None else run.main.observations()
    return any(each.kind == "examination" and each.optimizer == optimizer and each.step > step for each in seen)


def _insists(session: Session) -> bool:
    """Whether what a skip and a rollback do does not last."""
    incident = session.recovery.incident
    return session.lost_in_a_row >= REPEATED or (incident is not None and incident.rollbacks > 1)
