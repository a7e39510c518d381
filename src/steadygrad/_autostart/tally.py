"""What a trial leaves behind: the losses of each optimizer step, and how it ended."""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from torch import Tensor

from .._readback import read_tensor_scalar
from .._strict_json import strict

HOPELESS = 16
"""Steps without a finite loss in a row after which a trial is over."""

EVERY = 1.0
"""Seconds between two writes."""


class Tally:
    """Collects the losses of a trial, and ends its process when nothing more can be learned from it.

    Args:
        path: where they are written.
        most: steps after which the trial is over; None: the script's own end.
        times: says how often the remedy has changed anything.
    """

    def __init__(self, path: Path, most: int | None, times: Any) -> None:
        self._path = path
        self._most = most
        self._times = times
        self._waiting: list[Tensor] = []
        self._losses: dict[int, list[float | None]] = {}
        self._last: float | None = None
        self._bad = 0
        self._written = 0.0
        self._pid = os.getpid()

    def backward(self, loss: Tensor) -> None:
        """A loss was differentiated."""
        if loss.numel() == 1 and len(self._waiting) < 512:
            self._waiting.append(loss.detach())

    def step(self, number: int) -> None:
        """A step of an optimizer is over."""
        if os.getpid() != self._pid:
            return
        values = [read_tensor_scalar(each) for each in self._waiting]
        self._waiting.clear()
        known = [value for value in values if value is not None]
        loss = sum(known) / len(known) if known else self._last
        self._last = loss
        self._losses.setdefault(number, []).append(loss)
        self._bad = 0 if loss is None or math.isfinite(loss) else self._bad + 1
        steps = max(map(len, self._losses.values()))
        if self._bad >= HOPELESS:
            self._end("hopeless")
        elif self._most is not None and steps >= self._most:
            self._end("enough")
        elif time.monotonic() - self._written > EVERY:
            self.write(None)

    def write(self, stopped: str | None) -> None:
        """Write what there is, whole or not at all."""
        if os.getpid() != self._pid:
            return
        self._written = time.monotonic()
        text = json.dumps(strict({"losses": self._losses, "stopped": stopped, "times": self._times()}))
        beside = self._path.with_suffix(".part")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self._path)

    def end(self) -> None:
        """The script has come to its own end. A process that trains nothing (a loader's worker) has nothing to say."""
        if self._losses:
            self.write("end")

    def _end(self, why: str) -> None:
        self.write(why)
        os._exit(0)
