"""All runs of a demo, in their order: bare, watched and repaired, each cure, then a sweep."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..rescue import Pool
from .attempt import Attempt, make
from .cures import CURES, MAIN, NOTHING, REPAIR, WATCHED, Cure
from .demos import Demo, Sweep

SCHEMA = "steadygrad.demo/1"


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        demo: which.
        script: its file.
        out: where run folders are made.
        seeds: of each cure.
        steps: of each run.
        arguments: for the script.
        jobs: runs at a time.
        quick: whether the other optimizer is tried with few cures, and a sweep has few values.
    """

    demo: Demo
    script: Path
    out: Path
    seeds: tuple[int, ...]
    steps: int
    arguments: tuple[str, ...] = ()
    jobs: int = 2
    quick: bool = False


@dataclass
class Events:
    """Are told how it goes."""

    step: Callable[[Attempt, int, int, float], None] = lambda attempt, step, steps, loss: None
    done: Callable[[Attempt], None] = lambda attempt: None


@dataclass
class Exhibit:
    """The runs of a demo, as far as they were made.

    Attributes:
        plan: what is to be run.
        heroes: the first seed, as the script is: bare, watched, repaired.
        grid: each cure under each optimizer with each seed; those of the heroes that belong there are in it.
        sweep: bare and watched, over the values of the demo's sweep.
        interrupted: whether it was ended by Ctrl-C.
    """

    plan: Plan
    heroes: list[Attempt] = field(default_factory=list)
    grid: list[Attempt] = field(default_factory=list)
    sweep: list[Attempt] = field(default_factory=list)
    interrupted: bool = False

    def run_heroes(self, events: Events) -> None:
        """Bare, watched and repaired."""
        demo, seed = self.plan.demo, self.plan.seeds[0]
        planned = [self._attempt(cure, demo.optimizer, seed) for cure in (NOTHING, WATCHED, REPAIR)]
        for each in self._run(planned, events):
            self.heroes = sorted([*self.heroes, each], key=planned.index)
        self.grid += [each for each in self.heroes if each.cure is not REPAIR]

    def run_cures(self, events: Events) -> None:
        """The rest of the table of cures."""
        self.grid += self._run(self.missing(), events)

    def missing(self) -> list[Attempt]:
        """The cells of the table of cures that were not run yet; the script's own optimizer first."""
        demo, known = self.plan.demo, {(each.cure.id, each.optimizer, each.seed) for each in self.grid}
        return [
            self._attempt(cure, optimizer, seed)
            for optimizer in (demo.optimizer, demo.other)
            for seed in self.plan.seeds
            for cure in (CURES if optimizer == demo.optimizer or not self.plan.quick else MAIN)
            if (cure.id, optimizer, seed) not in known
        ]

    def run_sweep(self, events: Events) -> None:
        """The demo's sweep, if it has one."""
        self.sweep += self._run(self.sweep_points(), events)

    def sweep_points(self) -> list[Attempt]:
        """Bare and watched, with each value of the demo's sweep; those that were not run yet."""
        curve, optimizer, seed = self.plan.demo.curve, self.plan.demo.optimizer, self.plan.seeds[0]
        if not isinstance(curve, Sweep):
            return []
        known = {(each.cure.id, each.arguments) for each in self.sweep}
        planned = [
            self._attempt(cure, optimizer, seed, curve.option, f"{value:g}")
            for value in (curve.quick if self.plan.quick else curve.values)
            for cure in (NOTHING, WATCHED)
        ]
        return [each for each in planned if (each.cure.id, each.arguments) not in known]

    def hero(self, cure: Cure) -> Attempt | None:
        """One of the heroes, if it was run."""
        return next((each for each in self.heroes if each.cure is cure), None)

    def to_dict(self) -> dict[str, Any]:
        """The object that `--json` writes."""
        return {
            "schema": SCHEMA,
            "demo": self.plan.demo.name,
            "steps": self.plan.steps,
            "seeds": list(self.plan.seeds),
            "interrupted": self.interrupted,
            "metric": self.plan.demo.metric,
            "baseline": self.plan.demo.baseline,
            **{each.cure.id if each.cure is not NOTHING else "bare": each.to_dict() for each in self.heroes},
            "cures": [each.to_dict() for each in self.grid],
            "sweep": [each.to_dict() for each in self.sweep],
        }

    def _attempt(self, cure: Cure, optimizer: str, seed: int, *further: str) -> Attempt:
        return Attempt(cure, optimizer, seed, (*self.plan.arguments, *further))

    def _run(self, planned: Sequence[Attempt], events: Events) -> Iterator[Attempt]:
        plan = self.plan
        pool = Pool(plan.jobs)
        tasks = [
            functools.partial(make, each, plan.script, plan.steps, plan.out, functools.partial(events.step, each))
            for each in planned
        ]
        try:
            for attempt in pool.run(tasks):
                events.done(attempt)
                yield attempt
        finally:
            pool.stop()
