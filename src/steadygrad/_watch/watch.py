"""`sg.watch(model, optimizer)`: one line in a training loop."""

import atexit
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

from torch import nn
from torch.optim import Optimizer

from .. import _config
from ..clip import Policy
from ..errors import SteadygradError
from ..store import create_run, finish_run
from .process import Clip, Watcher

WATCHED: "weakref.WeakSet[Optimizer]" = weakref.WeakSet()
"""Optimizers that a `Watch` has: the watcher of `steadygrad run` leaves them to it."""


class Watch:
    """A watched model; ends with `close()` or with its `with` block. Made by `watch`."""

    def __init__(
        self,
        model: nn.Module | None,
        optimizers: Sequence[Optimizer],
        mode: str,
        clip: Clip,
        record: str | Path | Literal[False],
    ) -> None:
        self._record: Path | None = None if record is False else Path(record)
        self._started_folder: Path | None = None
        self._off = _config.switched_off()
        self._optimizers = list(optimizers)
        self._mode = mode
        self._closed = False
        modules = None if model is None else [model]
        self._watcher = Watcher(mode, self, optimizers=optimizers, modules=modules, clip=clip)
        if not self._off:
            WATCHED.update(optimizers)
            self._watcher.install()
            atexit.register(self._watcher.close)

    @property
    def run(self) -> Path | None:
        """The run folder; None before the first step and when nothing is recorded."""
        return self._watcher.recording or self._started_folder

    def close(self) -> None:
        """Take the hooks away and make the recording complete. A second call does nothing."""
        if self._closed or self._off:
            return
        self._closed = True
        self._watcher.remove()
        atexit.unregister(self._watcher.close)
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


def watch(
    model: nn.Module | None,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    mode: Literal["observe", "protect"] = "protect",
    clip: Clip = None,
    record: str | Path | Literal[False] = "runs",
) -> Watch:
    """Watch a training loop from inside: hooks only, the loop, its schedulers and its scaler stay as they are.

    Args:
        model: the module whose parameters are trained; names in the record are its paths. None: the owners are found.
        optimizer: the optimizer, or several.
        mode: "protect" skips steps that are not finite and clips outliers; "observe" never touches training.
        clip: what scales gradients in protect mode: a policy of `steadygrad.clip` or a `chain` of them; for several
            optimizers a function that makes one for each; False for nothing. By default a `RobustClip` that knows how
            far a step reaches. Steps that are not finite are skipped whatever clips.
        record: the folder in which the run's folder is made, or False to record nothing.

    Returns:
        The watch. Close it at the end, or use it in a `with` statement.

    Raises:
        TypeError: `optimizer` is no torch optimizer, or `clip` no policy.
        ValueError: `mode` is not a mode, there is no optimizer, or one policy is to clip for several optimizers.

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
    return Watch(model, optimizers, mode, clip, record)
