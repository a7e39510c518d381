"""The repairer of a process, where it has one: in mode `repair`, or of a training that was repaired before."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

from .._snapshot import TrainingParts
from .._tap import ClipTap
from ..guard import Ruling
from .examiner import Examiner
from .journal import Home, Journal
from .looks import Looks
from .session import Session
from .settings import Settings

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

    from .repairer import Repairer

Parts = Callable[[Session, Optimizer], TrainingParts]
"""Says what a training consists of."""


class Mending:
    """Asks the repairer of a process, and does nothing where there is none.

    It is imported where it is needed: it brings the diagnosis and every remedy with it.

    Args:
        settings: what the watcher was asked for.
        home: where people are spoken to.
        clips: sees torch's clipping functions.
        parts: says what a training consists of.
    """

    def __init__(self, settings: Settings, home: Home, clips: ClipTap, parts: Parts) -> None:
        self._settings = settings
        self._home = home
        self._clips = clips
        self._parts = parts
        self._going_on: dict[int, list[RemovableHandle]] = {}

    def begin(self, journal: Journal) -> None:
        """Begin: at first, and anew in a forked child."""
        self._journal = journal
        self._repairer: Repairer | None = self._made() if self._settings.mends else None

    def _made(self) -> "Repairer":
        from .repairer import Repairer

        return Repairer(self._journal, self._home, self._clips)

    def looks(self, examiner: Examiner) -> Looks:
        """Looks at runs without an alarm, which know what is being put right."""
        if self._repairer is None:
            return Looks(examiner)
        looks = Looks(examiner, self._repairer.unmended, eager=self._repairer.untouched)
        self._repairer.is_gone = looks.is_gone
        self._repairer.first_pass = examiner.first_pass
        return looks

    def aside(self) -> AbstractContextManager[None]:
        """What is being repaired steps aside while passes are computed again."""
        return nullcontext() if self._repairer is None else self._repairer.aside()

    def before_step(self, session: Session, optimizer: Optimizer) -> None:
        """A step of a protected training is about to be made."""
        if self._repairer is not None:
            self._repairer.before_step(session, optimizer, self._parts(session, optimizer))

    def after_step(self, optimizer: Optimizer) -> None:
        """It is over."""
        if self._repairer is not None:
            self._repairer.after_step(optimizer)

    def judge(self, session: Session, optimizer: Optimizer, ruling: Ruling) -> None:
        """After a step: verify what was done, or do something about an alarm. Never on one of several ranks."""
        if self._repairer is not None and self._settings.mends and session.alone:
            self._repairer.judge(session, optimizer, self._parts(session, optimizer), ruling)

    def state_of(self, session: Session) -> dict[str, Any]:
        """What was repaired of a training, for a checkpoint."""
        return {} if self._repairer is None else {"repairs": self._repairer.state_of(session)}

    def resume(self, session: Session, optimizer: Optimizer, repairs: Mapping[str, Any]) -> None:
        """Go on repaired, in mode protect too: moments are those of layers that are trained as others."""
        if self._settings.acts and repairs["repairs"]:
            self._repairer = self._repairer or self._made()
        if self._repairer is not None:
            self._repairer.resume(session, optimizer, repairs)
            return
        from ..interventions import go_on, kept_of

        for handle in self._going_on.pop(session.index, ()):
            handle.remove()
        layers = [kept_of(kept, session.params) for each in repairs["repairs"] for kept in each["layers"]]
        self._going_on[session.index] = go_on(optimizer, layers)

    def remove(self, optimizers: Mapping[int, Optimizer | None]) -> None:
        """The watching ends, and the training goes on."""
        if self._repairer is not None:
            self._repairer.remove(optimizers)

    def stay(self, optimizers: Mapping[int, Optimizer | None]) -> None:
        """The watching ends within a step."""
        if self._repairer is not None:
            self._repairer.stay(optimizers)
