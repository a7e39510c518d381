"""`sg.try_remedies`: the same steps again and again from one state, each time with one change."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim import Optimizer

from .._foreach import zero_
from .._readback import read_tensor_scalar
from .._snapshot import TrainingParts, TrainingSnapshot
from .._tap import params_of, quiet
from ..findings import Finding
from ..remedies import REMEDIES, remedy
from ..trials import Candidate, Proof, Series, Trial, everything, mends, plan, prove
from ..trials.words import head as headline
from .applied import Applied
from .family import intervention_for

if TYPE_CHECKING:
    from .._watch import Watch

HOPELESS = 3
"""Steps without a finite loss in a row after which a trial is over."""


@dataclass(frozen=True)
class Trials:
    """What trials in a loop have shown. Prints as a table.

    Attributes:
        controls: the steps without a change, twice.
        trials: the steps with one change each.
        proof: what that proves; its findings have `proven` set.
    """

    controls: tuple[Trial, ...]
    trials: tuple[Trial, ...]
    proof: Proof

    def __str__(self) -> str:
        lines = [headline(self.proof), f"{'trial':44} {'steps':>6} {'first':>11} {'last':>11}  mends"]
        for each in (*self.controls, *self.trials):
            good = "yes" if each in self.proof.mended else "nothing to change" if each.did_nothing else "no"
            series = each.series
            word = "" if each.candidate is None else good
            numbers = f"{len(series.losses):6} {series.start:11.4g} {series.end:11.4g}"
            lines.append(f"{each.name[:44]:44} {numbers}  {word}".rstrip())
        return "\n".join(lines)


def try_remedies(
    step: Callable[[Any], Tensor | float],
    batches: Iterable[Any],
    model: nn.Module,
    optimizer: Optimizer,
    *,
    findings: Sequence[Finding] | None = None,
    remedies: Sequence[str | Candidate] | None = None,
    watch: "Watch | None" = None,
    stateful: Sequence[Any] = (),
    seconds: float | None = None,
    on_trial: Callable[[Trial, bool], None] | None = None,
) -> Trials:
    """Make the same steps from the same state, once for each remedy, and judge which cause that proves.

    Every trial begins with the same weights, moments, buffers and random numbers, and gets the same batches; two
    controls without a change show what is noise. When all is done the training is as it was before the call.

    Args:
        step: makes one step on a batch, with `optimizer.step()` and all, and returns its loss.
        batches: for as many steps as a trial has; the last ones before and those after the onset, some 50 of them.
        model: the model that `step` trains.
        optimizer: its optimizer.
        findings: what a diagnosis says; by default that of `watch`'s run, if there is one.
        remedies: ids from the catalogue, or candidates, in place of those that the findings name.
        watch: begin at its newest proven snapshot, from before the incident; by default at the state that is there.
        stateful: schedulers and the like, with `state_dict` and `load_state_dict`, that are put back too.
        seconds: after which no trial is begun.
        on_trial: is told each trial when it is over, and whether it is sound.

    Returns:
        Trials and proof; prints as a table.

    Raises:
        ValueError: there is no batch, a remedy is not known or cannot be applied, or `watch` keeps no snapshot.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Linear(4, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
        >>> def step(batch):
        ...     optimizer.zero_grad()
        ...     loss = (model(batch) - batch.sum(1, keepdim=True)).square().mean()
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss
        >>> batches = [torch.randn(16, 4) for _ in range(30)]
        >>> said = [Finding("learning-rate", 0.8, "SGD", "", remedies=("lower-learning-rate",))]
        >>> shown = try_remedies(step, batches, model, optimizer, findings=said)
        >>> shown.proof.cause, shown.proof.findings[0].proven
        ('learning-rate', True)

    References:
        Wortsman et al., "Small-scale proxies for large-scale transformer training instabilities", 2023.
    """
    every = list(batches)
    if not every:
        raise ValueError("batches is empty, expected those of some steps")
    if findings is None:
        findings = () if watch is None or watch.run is None else _findings_of(watch)
    candidates = list(plan(findings)) if remedies is None else [_candidate(each) for each in remedies]
    parts = TrainingParts(params_of(optimizer), optimizer, [model], stateful=stateful)
    now = TrainingSnapshot()
    now.take(0, parts)
    start = now if watch is None else _snapshot_of(watch, optimizer)
    runs = _Runs(step, every, optimizer, parts, start)
    began = time.monotonic()
    try:
        controls = (runs.run(None), runs.run(None))
        tried: list[Trial] = []
        for candidate in everything() if remedies is None and not candidates else candidates:
            if seconds is not None and time.monotonic() - began > seconds:
                break
            trial = runs.run(candidate, len(tried) + 1)
            tried.append(trial)
            if on_trial is not None:
                on_trial(trial, mends(trial, controls))
    finally:
        now.restore_everything_(parts)
        zero_([param.grad for param in parts.params if param.grad is not None])
    return Trials(controls, tuple(tried), prove(findings, controls, tried))


class _Runs:
    """The same steps, as often as one likes."""

    def __init__(
        self,
        step: Callable[[Any], Tensor | float],
        batches: Sequence[Any],
        optimizer: Optimizer,
        parts: TrainingParts,
        start: TrainingSnapshot,
    ) -> None:
        self._step = step
        self._batches = batches
        self._optimizer = optimizer
        self._parts = parts
        self._start = start

    def run(self, candidate: Candidate | None, number: int = 0) -> Trial:
        """One trial, from the state that all begin with."""
        self._start.restore_everything_(self._parts)
        for param in self._parts.params:
            param.grad = None
        applied = (
            [] if candidate is None else [intervention_for(candidate.remedy, candidate.where, **candidate.options)]
        )
        began = time.monotonic()
        losses: list[float] = []
        error = ""
        with quiet(), Applied(applied, alone=True) as everything_else:
            everything_else.adopt(self._optimizer)
            try:
                for batch in self._batches:
                    losses.append(_number(self._step(batch)))
                    if len(losses) >= HOPELESS and not any(map(math.isfinite, losses[-HOPELESS:])):
                        break
            except Exception as raised:  # the user's step may well stumble over what it is given
                error = f"{type(raised).__name__}: {raised}"[:200]
        times, seconds = sum(each.times for each in applied), time.monotonic() - began
        return Trial(candidate, Series(tuple(losses)), times, seconds, error=error, number=number)


def _number(loss: Tensor | float) -> float:
    value = read_tensor_scalar(loss)
    return math.nan if value is None else value


def _candidate(given: str | Candidate) -> Candidate:
    name = given.remedy if isinstance(given, Candidate) else given
    known = remedy(name)
    if known not in REMEDIES:
        raise ValueError(f"{name!r} is no remedy; see steadygrad.remedies.REMEDIES")
    if not known.outside:
        raise ValueError(f"{name} cannot be applied from outside: it is a change of the model's own code")
    return given if isinstance(given, Candidate) else Candidate(known.id, known.removes)


def _findings_of(watch: "Watch") -> Sequence[Finding]:
    from ..diagnosis import open_run

    assert watch.run is not None
    return open_run(watch.run).findings()


def _snapshot_of(watch: "Watch", optimizer: Optimizer) -> TrainingSnapshot:
    snapshot = watch.newest_snapshot(optimizer)
    if snapshot is None:
        raise ValueError("watch keeps no proven snapshot of this optimizer: begin at the state that is there")
    return snapshot
