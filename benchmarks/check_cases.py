"""Whether the cases that `steadygrad.check` is tested on are what they claim to be: by training each of them.

    python benchmarks/check_cases.py
    python benchmarks/check_cases.py --only mlp

Each case of `tests/check/` is trained for 60 steps on its batch, in training mode, with its own optimizer; one without
an optimizer is trained with SGD at 0.05 and with Adam at 0.001. Without any clip. Shown are the first loss, the last
(the mean of five), the largest gradient norm, and the first step with a loss or a gradient that is not finite.

A sound case is one when it stays finite with every optimizer, and its loss falls by 5 % or more with one.

A faulty case is one when, with at least one optimizer, it becomes non-finite, or gains less than half of what the same
training gains without the planted fault; that twin (`mended`) must be sound. Gains are relative to the lower one of the
two first losses; for a fault that changes the unit of the loss, each is relative to its own.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.check.case import Case, Problem, loss_of
from tests.check.cases import FAULTY, SOUND

STEPS = 60
COMMON: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD .05": lambda params: torch.optim.SGD(params, lr=0.05),
    "Adam .001": lambda params: torch.optim.Adam(params, lr=0.001),
}
"""What a case without an optimizer is trained with."""

OWN_UNIT = {"loss-scale"}


@dataclass(frozen=True)
class Run:
    """One training."""

    optimizer: str
    start: float
    end: float
    largest_norm: float
    nonfinite: int | None
    """The first step at which the loss or the gradient was."""

    @property
    def finite(self) -> bool:
        return self.nonfinite is None and math.isfinite(self.end)

    def gain(self, unit: float | None = None) -> float:
        """The share of the first loss that is gone, or of `unit`."""
        unit = self.start if unit is None else unit
        return (unit - self.end) / max(abs(unit), 1e-12) if self.finite else -math.inf


def train(make: Callable[[], Problem], optimizer: str) -> Run:
    model, batch, loss_fn, own = make()
    parameters = [p for p in model.parameters() if p.requires_grad]
    steps = own or COMMON[optimizer](parameters)
    losses: list[float] = []
    largest, nonfinite = 0.0, None
    for step in range(STEPS):
        steps.zero_grad()
        loss = loss_of(model, batch, loss_fn)
        loss.backward()
        norm = nn.utils.get_total_norm([p.grad.float() for p in parameters if p.grad is not None]).item()
        losses.append(loss.item())
        largest = max(largest, norm)
        if not (math.isfinite(norm) and math.isfinite(losses[-1])):
            nonfinite = step
            break
        steps.step()
    return Run(type(own).__name__ if own else optimizer, losses[0], fmean(losses[-5:]), largest, nonfinite)


def runs(make: Callable[[], Problem]) -> list[Run]:
    return [train(make, "own")] if make()[3] else [train(make, name) for name in COMMON]


def told(run: Run) -> str:
    end = f"non-finite at {run.nonfinite}" if run.nonfinite is not None else f"{run.end:10.4g}"
    return f"{run.optimizer:<10} {run.start:10.4g} -> {end:<16} |g| <= {run.largest_norm:<9.3g}"


def learns(results: list[Run]) -> bool:
    return all(run.finite for run in results) and any(run.gain() >= 0.05 for run in results)


def check_sound(case: Case) -> bool:
    results = runs(case.make)
    good = learns(results)
    for run in results:
        print(f"{'ok    ' if good else 'DOUBT '} {case.name:<34} {told(run)}", flush=True)
    return good


def harm(case: Case, fault: Run, mended: Run) -> bool:
    """Whether the fault shows with this optimizer."""
    if not fault.finite:
        return mended.finite
    own = bool(case.causes & OWN_UNIT)
    unit = None if own else min(fault.start, mended.start)
    return mended.gain() >= 0.05 and fault.gain(unit) < 0.5 * mended.gain(unit)


def check_faulty(case: Case) -> bool:
    assert case.mended is not None
    faults, twins = runs(case.make), runs(case.mended)
    shows = [harm(case, fault, mended) for fault, mended in zip(faults, twins, strict=True)]
    good = any(shows) and learns(twins)
    for fault, mended, show in zip(faults, twins, shows, strict=True):
        label = "DOUBT " if not good else "ok    " if show else "      "
        print(f"{label} {case.name:<34} {told(fault)}   mended {told(mended)[11:]}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name or cause contains one of these, split at commas")
    only = parser.parse_args().only.split(",")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    start = time.perf_counter()
    doubts: list[str] = []
    for cases, check in ((SOUND, check_sound), (FAULTY, check_faulty)):
        for case in cases:
            wanted = any(part in text for part in only for text in (case.name, *case.causes))
            if wanted and not check(case):
                doubts.append(case.name)
    print(f"\n{time.perf_counter() - start:.0f} s; doubtful: {', '.join(doubts) or 'none'}")
    return bool(doubts)


if __name__ == "__main__":
    sys.exit(main())
