"""One trial: a remedy, or none, and what the run came to with it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .series import Series


@dataclass(frozen=True, slots=True)
class Candidate:
    """A remedy to try. `removes` are the causes that it takes away; it may be about something, and have numbers."""

    remedy: str
    removes: tuple[str, ...] = ()
    where: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The remedy and its numbers.

        >>> Candidate("lower-learning-rate", options={"factor": 0.1}).name
        'lower-learning-rate (factor 0.1)'
        """
        told = {name: f"{each:.3g}" if isinstance(each, float) else each for name, each in self.options.items()}
        numbers = ", ".join(f"{name} {each}" for name, each in told.items() if each is not None)
        return f"{self.remedy} ({numbers})" if numbers else self.remedy


@dataclass(frozen=True, slots=True)
class Trial:
    """One run with one change.

    Attributes:
        candidate: the change; None for a control.
        series: the losses that are judged.
        several: those of every optimizer, in the order of their first steps.
        times: how often the remedy has changed anything.
        seconds: how long it took.
        whole: whether it went to the end that the script has.
        error: how it ended if it did not end well.
        number: its place in the order in which trials were started.
    """

    candidate: Candidate | None
    series: Series
    times: int = 0
    seconds: float = 0.0
    whole: bool = True
    error: str = ""
    number: int = 0
    several: tuple[Series, ...] = ()

    @property
    def name(self) -> str:
        """The remedy, or that there is none."""
        return "control" if self.candidate is None else self.candidate.name

    @property
    def did_nothing(self) -> bool:
        """Whether the remedy found nothing to change: then it is no trial of it."""
        return self.candidate is not None and not self.times

    def of(self, optimizer: int) -> "Trial":
        """The same trial, judged by the losses of one optimizer; of one that never came to it by none."""
        if not self.several:
            return self
        return replace(self, series=self.several[optimizer] if optimizer < len(self.several) else Series(()))

    def shortened(self, steps: int) -> "Trial":
        """What was known after so many steps."""
        return replace(self, series=Series(self.series.losses[:steps]))

    def to_dict(self) -> dict[str, Any]:
        """The trial as plain data, for JSON."""
        candidate, series = self.candidate, self.series
        return {
            "remedy": None if candidate is None else candidate.remedy,
            "where": "" if candidate is None else candidate.where,
            "options": {} if candidate is None else dict(candidate.options),
            "removes": [] if candidate is None else list(candidate.removes),
            "steps": len(series.losses),
            "first": series.start,
            "best": series.best,
            "last": series.end if series.known else math.nan,
            "applied": self.times,
            "whole": self.whole,
            "seconds": self.seconds,
            "error": self.error,
        }
