"""Everything steadygrad raises on purpose.

SteadygradError                 a message for the user; the command line prints it as one line
├── UsageError                  an argument or a path that cannot work
│   ├── NotARun                 the folder is not a run folder
│   ├── RunTooNew               the run was recorded by a later version
│   ├── MissingExtra            an optional dependency is not installed
│   └── NoSecondDerivative      an operation of the loss cannot be differentiated twice
├── RecordingError              a recording cannot be written or read (a disk, a damaged file)
└── TrainingDiverged            the guard has stopped a run that nothing repaired
"""


class SteadygradError(Exception):
    """Base of every error raised on purpose; `exit_status` is what the command line returns for it."""

    exit_status = 1


class UsageError(SteadygradError):
    """An argument, a path or a combination of them cannot work."""

    exit_status = 2


class NotARun(UsageError):
    """The folder holds no recorded run."""


class RunTooNew(UsageError):
    """The run was recorded with a schema that this version does not know."""


class MissingExtra(UsageError):
    """An optional dependency is needed and not installed."""


class NoSecondDerivative(UsageError, ValueError):
    """An operation of the loss has no double backward, so nothing can be said about its curvature."""


class RecordingError(SteadygradError):
    """A recording cannot be written or read: a disk, a permission, a damaged file."""


class TrainingDiverged(SteadygradError):
    """The run was stopped because no repair brought it back; the only error raised into a user's training.

    `step` is where it was stopped, `since` where the incident began, `tried` what was tried in order, `run` the run
    folder (None if nothing was recorded).
    """

    def __init__(
        self, message: str, *, step: int = -1, since: int = -1, tried: tuple[str, ...] = (), run: str | None = None
    ) -> None:
        super().__init__(message)
        self.step = step
        self.since = since
        self.tried = tried
        self.run = run
