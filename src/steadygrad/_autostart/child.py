"""The watcher of a process started by `steadygrad run`: attached when torch loads, recording from the first step."""

import atexit
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .. import _config
from .._i18n import say, use
from .._watch import Settings, Watcher
from .._watch.watch import WATCHED
from ..store import append_event


class RunHome:
    """The run folder that the parent has made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self) -> Path:
        """The run folder."""
        return self._folder

    def say(self, line: str) -> None:
        """One line on stderr."""
        try:
            print(f"steadygrad: {line}", file=sys.stderr, flush=True)
        except Exception:
            pass


def start() -> None:
    """Attach to this process, if `steadygrad run` started it."""
    config = _config.child_config()
    if config is None or _config.switched_off():
        return
    use(config.lang)
    if config.mode == _config.CHECK:
        _start_check()
        return
    folder = Path(config.folder)
    if config.mode in (_config.TRIAL, _config.UNWATCHED):
        _start_unwatched(config)
        return
    append_event(folder, "attached", torch=torch.__version__)
    # Before the watcher: what it is to see is the training with its remedies.
    _remedy(config, folder)
    watcher = Watcher(
        Settings(config.mode, snapshot_memory=config.snapshot_memory),
        RunHome(folder),
        others=WATCHED,
        keep_batch=config.keep_batch,
    )

    def first_backward() -> None:
        watcher.losses.on_backward = None
        append_event(folder, "backward")

    watcher.losses.on_backward = first_backward
    watcher.install()
    _watch_construction(watcher)
    atexit.register(_finish, watcher, folder)


def _start_unwatched(config: _config.ChildConfig) -> None:
    from .remedied import interventions, lie_on
    from .trial import start as start_trial

    if config.mode == _config.TRIAL:
        start_trial(config)
    else:
        lie_on(interventions(config.remedies))


def _remedy(config: _config.ChildConfig, folder: Path) -> None:
    """Apply what was chosen by hand; its errors are told and cost the remedy, not the training."""
    if not config.remedies:
        return
    from .remedied import interventions, lie_on

    applied = interventions(config.remedies)
    failed: list[str] = []

    def fail(error: Exception) -> None:
        if not failed:
            told = say("a remedy cannot be applied ({error})", error=f"{type(error).__name__}: {error}")
            print(f"steadygrad: {told}", file=sys.stderr, flush=True)
        failed.append(str(error))

    def finish() -> None:
        chosen = zip(config.remedies, applied, strict=True)
        several = [{**asdict(each), "times": made.times} for each, made in chosen]
        append_event(folder, "remedied", remedies=several)

    lie_on(applied).on_error = fail
    atexit.register(finish)


def _start_check() -> None:
    """A script that cannot be checked must not train instead."""
    try:
        from ..preflight import script

        script.start()
    except Exception as error:
        told = say("cannot check: {error}", error=f"{type(error).__name__}: {error}")
        print(f"steadygrad: {told}", file=sys.stderr, flush=True)
        os._exit(2)


def _watch_construction(watcher: Watcher) -> None:
    """Let the watcher see each optimizer when it is made: its model's buffers are then still untouched."""
    original = torch.optim.Optimizer.__init__

    def __init__(self: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            watcher.built(self)
        except Exception as error:
            watcher.fail(error)

    __init__.__wrapped__ = original  # type: ignore[attr-defined]
    __init__.__doc__ = original.__doc__
    torch.optim.Optimizer.__init__ = __init__


def _finish(watcher: Watcher, folder: Path) -> None:
    error = getattr(sys, "last_value", None)
    watcher.end()
    if error is not None:
        append_event(folder, "exit", error=f"{type(error).__name__}: {error}"[:500])
    else:
        append_event(folder, "exit")
