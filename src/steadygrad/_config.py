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

TRIAL = "trial"
"""The mode of a child that is a trial: its losses are tallied, and nothing is watched."""

TALLY = "trial.json"
"""File in which the child of a trial leaves its losses."""

UNWATCHED = "unwatched"
"""The mode of a child that is given its remedies, and nothing else."""

NO_COMPILE = "TORCHDYNAMO_DISABLE"
"""torch's own switch against `torch.compile`."""

MODES = ("observe", "protect", "repair")
"""`observe` never touches training; `protect` holds it together; `repair` also
puts right in place what the evidence supports, and keeps a lowered learning rate until something else was put right."""


@dataclass(frozen=True, slots=True)
class RemedyConfig:
    """A remedy that a process is to be given: its id, what it is about, its numbers."""

    remedy: str
    where: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What a process that we start needs to know: the folder to write to (absolute), the mode, bytes for snapshots (or
    None), whether the samples of a bad batch are kept, the language that `--lang` has chosen (None: by the
    environment), the remedies to apply from outside, and, of a trial, the steps after which nothing is to be learned.
    """

    folder: str
    mode: str
    snapshot_memory: int | None = None
    keep_batch: bool = False
    lang: str | None = None
    remedies: tuple[RemedyConfig, ...] = ()
    steps: int | None = None

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
    fields["remedies"] = tuple(RemedyConfig(**each) for each in fields.get("remedies", ()))
    return ChildConfig(**fields)


def rank() -> int:
    """This process's rank as a launcher (torchrun, accelerate, ...) set it; 0 without a launcher."""
    value = os.environ.get("RANK", "0")
    return int(value) if value.isdecimal() else 0


def world_size() -> int:
    """How many ranks the launcher started; 1 without a launcher."""
    value = os.environ.get("WORLD_SIZE", "1")
    return int(value) if value.isdecimal() else 1
