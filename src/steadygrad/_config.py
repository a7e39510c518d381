"""Every environment variable that steadygrad reads or sets, and what it means."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SWITCH = "STEADYGRAD"
"""`STEADYGRAD=off` turns everything off: no hook is installed, nothing is recorded."""

CHILD = "STEADYGRAD_RUN"
"""What `steadygrad run` tells the processes it starts: a JSON object, see `ChildConfig`."""

CHECK = "check"
"""The mode of a child that `steadygrad check` has started: it measures at its first backward and ends."""

TRIAL = "trial.json"
"""File in which the child of a trial leaves its losses."""

NO_COMPILE = "TORCHDYNAMO_DISABLE"
"""torch's own switch against `torch.compile`."""

MODES = ("observe", "protect", "repair")
"""`observe` never touches training; `protect` holds it together; `repair` also
puts right in place what the evidence supports, and keeps a lowered learning rate for good."""


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """What a process is to do that is a trial: the remedy (None: a control), what it is about, its numbers, and the
    steps after which nothing more is to be learned (None: the script's own end)."""

    remedy: str | None = None
    where: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What a watched process needs to know: the run folder (absolute), the mode, bytes for snapshots (or None), and
    whether the samples of a bad batch are kept, the language that `--lang` has chosen (None: by the environment), and
    what makes it a trial."""

    folder: str
    mode: str
    snapshot_memory: int | None = None
    keep_batch: bool = False
    lang: str | None = None
    trial: TrialConfig | None = None

    def to_env(self) -> str:
        """The value of the environment variable `STEADYGRAD_RUN`."""
        return json.dumps(asdict(self))


def switched_off() -> bool:
    """Whether the user has turned steadygrad off for this process."""
    return os.environ.get(SWITCH, "").strip().lower() in {"off", "0", "no", "false"}


def child_config() -> ChildConfig | None:
    """The configuration left by `steadygrad run`, or None in a process that it did not start."""
    text = os.environ.get(CHILD)
    if not text:
        return None
    fields = json.loads(text)
    return ChildConfig(
        fields["folder"],
        fields["mode"],
        fields.get("snapshot_memory"),
        bool(fields.get("keep_batch")),
        fields.get("lang"),
        None if fields.get("trial") is None else TrialConfig(**fields["trial"]),
    )


def rank() -> int:
    """This process's rank as a launcher (torchrun, accelerate, ...) set it; 0 without a launcher."""
    value = os.environ.get("RANK", "0")
    return int(value) if value.isdecimal() else 0


def world_size() -> int:
    """How many ranks the launcher started; 1 without a launcher."""
    value = os.environ.get("WORLD_SIZE", "1")
    return int(value) if value.isdecimal() else 1
