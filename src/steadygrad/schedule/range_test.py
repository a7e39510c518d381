"""The learning-rate range test: which rates make the loss fall, and where it runs away."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from torch import Tensor, nn
from torch.optim import Optimizer

from .._i18n import later, say
from .._readback import read_tensor_scalar
from .._snapshot import TrainingParts, TrainingSnapshot
from ..measure.objective import Objective
from ..records import RangeTest

SMOOTHING = 0.9
"""What a running mean keeps from step to step; the first means are corrected for having seen little."""

FEWEST = 5
"""Losses before a rise counts as divergence, or a fall as a slope."""


def range_test(
    model: nn.Module,
    optimizer: Optimizer,
    loss_fn: Callable[..., Any] | None,
    batches: Iterable[Any],
    *,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 100,
    progress: bool = True,
) -> RangeTest:
    r"""Train for some steps with a learning rate that grows exponentially, and put everything back.

    .. math:: \eta_i = \eta_0 \left( \frac{\eta_{n-1}}{\eta_0} \right)^{i / (n - 1)}

    The model trains in train mode. It ends early when the loss is not finite, or when its running mean lies above the
    first loss by as much as it had fallen, or by that loss's own size. Then, and after an error or Ctrl-C too, model,
    buffers, optimizer, gradients, train mode and random numbers (torch, numpy, Python) are as they were, to the last
    bit. (Batches taken from an iterator are taken; plain attributes of modules that a forward pass writes stay
    written.) Make it before `sg.watch`, which would hold the diverging run together.

    Suggested are the rate of the steepest descent, where the running mean falls fastest over the logarithm of the rate,
    and a tenth of the rate of divergence; the smaller one to begin with.

    Args:
        model: the model.
        optimizer: its optimizer; groups keep the proportion of their rates, and the largest is the one that is varied.
        loss_fn: `loss_fn(output, target)`; or, if its first parameter is called `model`, `loss_fn(model, batch)`; or
            None where the model returns its loss.
        batches: an iterable of batches, (inputs..., target) or mappings of keyword arguments; begun anew when it ends.
        start: the first rate.
        end: the last one.
        steps: number of steps.
        progress: show a progress bar, if stderr is a terminal.

    Returns:
        The record; `steadygrad.write_report(record, path)` draws it.

    Raises:
        ValueError: an argument is out of its range, or there are no batches.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Linear(4, 1)
        >>> x = torch.randn(64, 4)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> found = range_test(model, optimizer, nn.MSELoss(), [(x, x.sum(1, keepdim=True))], start=1e-4)
        >>> found.diverged_at < 10, found.suggestion < found.diverged_at
        (True, True)

    References:
        Smith, "Cyclical learning rates for training neural networks", 2017.
    """
    if not 0 < start < end < math.inf:
        raise ValueError(f"start and end are {start} and {end}, expected 0 < start < end")
    if steps < 2:
        raise ValueError(f"steps is {steps}, expected at least 2")
    lrs: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    diverged_at = None
    objective: Objective | None = None
    with _put_back(model, optimizer), _bar(progress, steps) as advance:
        shares = _shares(optimizer)
        model.train()
        for step, batch in zip(range(steps), _again_and_again(batches), strict=False):
            lrs.append(start * (end / start) ** (step / (steps - 1)))
            for group, share in zip(optimizer.param_groups, shares, strict=True):
                _set_rate(group, lrs[-1] * share)
            optimizer.zero_grad()
            objective = objective or Objective(model, batch, loss_fn)
            loss = objective(batch)
            loss.backward()
            value = read_tensor_scalar(loss)
            losses.append(math.nan if value is None else value)
            smoothed.append(_mean(losses))
            if _diverged(losses[-1], smoothed):
                diverged_at = lrs[-1]
                break
            optimizer.step()
            advance()
    if not losses:
        raise ValueError("batches is empty, expected at least one batch")
    return _judged(lrs, losses, smoothed, diverged_at)


def _mean(losses: Sequence[float]) -> float:
    """The running mean of all losses so far."""
    total = weight = 0.0
    for loss in losses:
        total, weight = SMOOTHING * total + (1 - SMOOTHING) * loss, SMOOTHING * weight + 1 - SMOOTHING
    return total / weight


def _diverged(loss: float, smoothed: Sequence[float]) -> bool:
    if not math.isfinite(loss):
        return True
    first, best = smoothed[0], min(smoothed)
    return len(smoothed) > FEWEST and smoothed[-1] > first + max(first - best, abs(first))


def _judged(
    lrs: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], diverged_at: float | None
) -> RangeTest:
    suggestions: dict[str, float] = {}
    words = []
    steepest = _steepest(lrs, smoothed)
    if steepest is not None:
        suggestions[later("steepest descent")] = steepest
        words.append(say("the loss falls fastest at {rate:.2g}", rate=steepest))
    if diverged_at is not None:
        suggestions[later("a tenth of divergence")] = diverged_at / 10
        words.append(
            say("it runs away at {rate:.2g}, a tenth of which is {tenth:.2g}", rate=diverged_at, tenth=diverged_at / 10)
        )
    else:
        words.append(say("it did not run away up to {rate:.2g}", rate=lrs[-1]))
    suggestion = None if steepest is None else min(suggestions.values())
    if steepest is None:
        words.insert(0, say("the loss never fell"))
    why = "; ".join(words)
    return RangeTest(tuple(lrs), tuple(losses), tuple(smoothed), diverged_at, suggestions, suggestion, why)


def _steepest(lrs: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """The rate at which the running mean falls fastest over log(rate), before its lowest point; None if it never fell.

    A slope is taken over five points, so that one lucky batch makes none. The running mean lags behind the loss; a rate
    that is a little too small is the better mistake than the other, so it is not corrected for.
    """
    finite = [value if math.isfinite(value) else math.inf for value in smoothed]
    lowest = finite.index(min(finite))
    half = FEWEST // 2
    best, place = 0.0, None
    for middle in range(half, lowest - half + 1):
        slope = finite[middle + half] - finite[middle - half]
        if slope < best:
            best, place = slope, middle
    return None if place is None else lrs[place]


def _shares(optimizer: Optimizer) -> list[float]:
    """The rates of the groups as parts of the largest."""
    rates = [read_tensor_scalar(group.get("lr")) or 0.0 for group in optimizer.param_groups]
    top = max(rates)
    return [rate / top for rate in rates] if top > 0 else [1.0] * len(rates)


def _set_rate(group: dict[str, Any], rate: float) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _again_and_again(batches: Iterable[Any]) -> Iterator[Any]:
    found = True
    while found:
        found = False
        for batch in batches:
            found = True
            yield batch


@contextmanager
def _put_back(model: nn.Module, optimizer: Optimizer) -> Iterator[None]:
    """Everything as it was, whatever ends the block."""
    grouped = [param for group in optimizer.param_groups for param in group["params"]]
    params = list({id(param): param for param in [*model.parameters(), *grouped]}.values())
    parts = TrainingParts(params, optimizer, [model])
    snapshot = TrainingSnapshot()
    snapshot.take(0, parts)
    grads = [param.grad for param in params]
    modes = [(module, module.training) for module in model.modules()]
    for param in params:
        param.grad = None  # the test gets its own, these stay untouched
    try:
        yield
    finally:
        snapshot.restore_everything_(parts)
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        for module, mode in modes:
            module.training = mode


@contextmanager
def _bar(wanted: bool, steps: int) -> Iterator[Callable[[], None]]:
    if not (wanted and sys.stderr.isatty()):
        yield lambda: None
        return
    columns = TextColumn(say("learning-rate range test")), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=steps)
        yield lambda: bar.advance(task)
