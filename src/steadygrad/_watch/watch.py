"""`sg.watch(model, optimizer)`: one line in a training loop."""

import atexit
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer

from .. import _config
from .._sizes import parse_size
from .._snapshot import TrainingSnapshot
from ..clip import Policy
from ..errors import SteadygradError
from ..guard import Incident
from ..store import create_run, finish_run
from .process import Watcher
from .settings import Clip, Settings

WATCHED: "weakref.WeakSet[Optimizer]" = weakref.WeakSet()
"""Optimizers that a `Watch` has: the watcher of `steadygrad run` leaves them to it."""


class Watch:
    """A watched model; ends with `close()` or with its `with` block. Made by `watch`."""

    def __init__(
        self,
        modules: Sequence[nn.Module] | None,
        optimizers: Sequence[Optimizer],
        settings: Settings,
        record: str | Path | Literal[False],
        on_incident: Callable[[Incident], None] | None,
        keep_batch: bool,
    ) -> None:
        self._record: Path | None = None if record is False else Path(record)
        self._started_folder: Path | None = None
        self._off = _config.switched_off()
        self._optimizers = list(optimizers)
        self._mode = settings.mode
        self._closed = False
        self._watcher = Watcher(
            settings,
            self,
            optimizers=optimizers,
            modules=modules,
            on_incident=on_incident,
            keep_batch=keep_batch,
        )
        if not self._off:
            WATCHED.update(optimizers)
            self._watcher.install()
            atexit.register(self._watcher.end)

    @property
    def run(self) -> Path | None:
        """The run folder; None before the first step and when nothing is recorded."""
        return self._watcher.recording or self._started_folder

    def safe_to_save(self) -> bool:
        """Whether the training is well: no incident is open, and the last alarm is more than 16 steps ago.

        A checkpoint that is saved while it says False may hold the damage that is being dealt with.

        Example:
            >>> import torch
            >>> weight = torch.nn.Parameter(torch.ones(1))
            >>> with watch(None, torch.optim.SGD([weight], lr=0.1), record=False) as watched:
            ...     watched.safe_to_save()
            True
        """
        return self._watcher.trainings.settled()

    def state_dict(self) -> dict[str, Any]:
        """What the watcher knows, as plain data to be kept in a checkpoint beside the optimizer's.

        Resumed with `load_state_dict` it decides as if the run had never stopped. Snapshots are not part of it: after a
        restart the checkpoint itself is the first state to go back to.
        """
        return self._watcher.trainings.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; before the first step, with the optimizers in the same order.

        Args:
            state: what `state_dict` returned.

        Raises:
            ValueError: it is no state of a watch, or one of a later version.
        """
        self._watcher.load_state_dict(state)

    def add_scheduler(self, scheduler: Any) -> None:
        """Let snapshots keep a learning-rate scheduler, for replays. A live rollback leaves it alone: it goes on.

        Args:
            scheduler: anything with `state_dict` and `load_state_dict`.

        Raises:
            TypeError: it has none.
        """
        self._watcher.trainings.stateful.append(_stateful("scheduler", scheduler))

    def add_loader(self, loader: Any) -> None:
        """Let snapshots keep the position of a data loader that knows it, for replays.

        Args:
            loader: anything with `state_dict` and `load_state_dict` (a `StatefulDataLoader`).

        Raises:
            TypeError: it has none.
        """
        self._watcher.trainings.stateful.append(_stateful("loader", loader))

    def add_ema(self, average: nn.Module) -> None:
        """Roll an average of the model (EMA, SWA) back with it: else it would keep what was taken back.

        Args:
            average: the module that holds the averaged weights, such as `torch.optim.swa_utils.AveragedModel`.

        Raises:
            TypeError: it is no module.
        """
        if not isinstance(average, nn.Module):
            raise TypeError(f"average is a {type(average).__name__}, expected a torch.nn.Module")
        self._watcher.trainings.averages.append(average)

    def newest_snapshot(self, optimizer: Optimizer) -> TrainingSnapshot | None:
        """The newest state of an optimizer's training that is proven sound: from before an incident. None without one.

        Args:
            optimizer: one of those that are watched.
        """
        return self._watcher.trainings.newest_snapshot(optimizer)

    def close(self) -> None:
        """Take the hooks away and make the recording complete. A second call does nothing."""
        if self._closed or self._off:
            return
        self._closed = True
        self._watcher.remove()
        atexit.unregister(self._watcher.end)
        for optimizer in self._optimizers:
            WATCHED.discard(optimizer)
        if self._started_folder is not None and _config.child_config() is None:
            try:
                finish_run(self._started_folder, 0)
            except SteadygradError as error:
                self.say(str(error))

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the watcher asks of its home.

    def folder(self) -> Path | None:
        """The run folder: that of `steadygrad run` if it started this process, else a new one in `record`."""
        if self._record is None:
            return None
        config = _config.child_config()
        if config is not None:
            self._started_folder = Path(config.folder)
        else:
            stem = Path(sys.argv[0] or "python").stem if sys.argv else "python"
            self._started_folder = create_run(self._record, stem, self._mode, tuple(sys.argv))
        return self._started_folder

    def say(self, line: str) -> None:
        """One line on stderr."""
        try:
            print(f"steadygrad: {line}", file=sys.stderr, flush=True)
        except Exception:
            pass


def _stateful(name: str, thing: Any) -> Any:
    if not (callable(getattr(thing, "state_dict", None)) and callable(getattr(thing, "load_state_dict", None))):
        raise TypeError(f"{name} is a {type(thing).__name__}, expected one with state_dict and load_state_dict")
    return thing


def watch(
    model: nn.Module | Sequence[nn.Module] | None,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    mode: Literal["observe", "protect", "repair"] = "protect",
    clip: Clip = None,
    record: str | Path | Literal[False] = "runs",
    snapshot_memory: int | str | None = None,
    snapshot_every: int | None = None,
    on_incident: Callable[[Incident], None] | None = None,
    keep_batch: bool = False,
) -> Watch:
    """Watch a training loop from inside: hooks only, the loop, its schedulers and its scaler stay as they are.

    Args:
        model: the module whose parameters are trained, or several (an encoder and a decoder); names in the record are
            paths in it. None: the owners are found.
        optimizer: the optimizer, or several.
        mode: "protect" holds the run together: it clips outliers, leaves out steps that are not finite, lowers the
            learning rate, rolls back, and stops what nothing helps with `TrainingDiverged`; "repair" also puts
            right in place what the evidence of an alarm supports, verifies it, and keeps a lowered learning rate for
            good; "observe" never touches training.
        clip: what scales gradients in protect mode: a policy of `steadygrad.clip` or a `chain` of them; for several
            optimizers a function that makes one for each; False for nothing. By default a `RobustClip` that knows how
            far a step reaches. Steps that are not finite are skipped whatever clips.
        record: the folder in which the run's folder is made, or False to record nothing.
        snapshot_memory: how much host memory the snapshots for a rollback may take, in bytes or as "2GB"; 0 for none.
            By default a quarter of what is free when the first is taken; with several ranks none, since ranks must go
            back alike: say how much, the same on all of them.
        snapshot_every: steps between two snapshots, at least 16; the same run then rolls back to the same steps. By
            default as many as keep their cost below 0.75 % of the training time, as measured.
        on_incident: called with an incident when it begins and when it ends. It has `step`, `detector`, `detail`,
            `tried` and `status` ("open", "recovered", "unresolved" or "stopped").
        keep_batch: keep the samples of a batch that raises an alarm, as `batch-step<N>.npz` in the run folder.

    Returns:
        The watch. Close it at the end, or use it in a `with` statement.

    Raises:
        TypeError: `model` is no module, `optimizer` no torch optimizer, or `clip` no policy.
        ValueError: `mode` is not a mode, there is no optimizer, one policy is to clip for several optimizers, or
            `snapshot_memory` is no size, or `snapshot_every` below 16.
        TrainingDiverged: from `optimizer.step()`, when nothing has brought the run back.

    Example:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> with watch(model, optimizer, record=False):
        ...     loss = model(torch.ones(4, 2)).square().mean()
        ...     loss.backward()
        ...     optimizer.step()
    """
    if mode not in _config.MODES:
        raise ValueError(f"mode is {mode!r}, expected one of {', '.join(_config.MODES)}")
    modules = None if model is None else list(model) if isinstance(model, Sequence) else [model]
    for each in modules or ():
        if not isinstance(each, nn.Module):
            raise TypeError(f"model is a {type(each).__name__}, expected a torch.nn.Module, several, or None")
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
    if not optimizers:
        raise ValueError("optimizer is an empty list, expected at least one torch.optim.Optimizer")
    for each in optimizers:
        if not isinstance(each, Optimizer):
            raise TypeError(f"optimizer is a {type(each).__name__}, expected a torch.optim.Optimizer")
    if not (clip is None or clip is False or isinstance(clip, Policy) or callable(clip)):
        raise TypeError(f"clip is a {type(clip).__name__}, expected a policy of steadygrad.clip, or False")
    if isinstance(clip, Policy) and len(optimizers) > 1:
        raise ValueError(
            f"clip is one {type(clip).__name__} for {len(optimizers)} optimizers, expected a function that makes one "
            f"for each: clip=lambda: {type(clip).__name__}(...)"
        )
    if snapshot_every is not None and snapshot_every < 16:
        raise ValueError(f"snapshot_every is {snapshot_every}, expected at least 16: so many steps prove a snapshot")
    room = None if snapshot_memory is None else parse_size(snapshot_memory)
    settings = Settings(mode, clip, room, snapshot_every)
    return Watch(modules, optimizers, settings, record, on_incident, keep_batch)
