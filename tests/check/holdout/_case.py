"""What a held-out training is, how it is trained, and what is expected of the check."""

import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass
class Training:
    """A script's pieces before step 0. `batch(i)` is the i-th batch; `metric`, lower is better, replaces the loss where
    a fault changes the loss's own units."""

    model: nn.Module
    batch: Callable[[int], Any]
    loss_fn: Callable[..., Any] | None
    optimizer: torch.optim.Optimizer
    steps: int = 60
    metric: Callable[[nn.Module], float] | None = None


@dataclass(frozen=True)
class Expect:
    """The causes that are right answers for a planted fault, and a pattern for where it lies. No causes: an oddity that
    did no harm when trained, so that a finding would be a false alarm."""

    causes: tuple[str, ...]
    where: str = ""
    note: str = ""


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[str], Training]
    faults: dict[str, Expect]


CASES: dict[str, Case] = {}


def case(**faults: Expect) -> Callable[[Callable[[str], Training]], Callable[[str], Training]]:
    """Registers `build(fault)`; `build("")` is the sound twin."""

    def register(build: Callable[[str], Training]) -> Callable[[str], Training]:
        name = build.__name__
        CASES[name] = Case(name, build, faults)
        return build

    return register


def loss_of(training: Training, batch: Any) -> torch.Tensor:
    loss_fn, model = training.loss_fn, training.model
    if loss_fn is None:
        out = model(**batch) if isinstance(batch, dict) else model(*batch)
        return out.loss
    try:
        first = next(iter(inspect.signature(loss_fn).parameters))
    except (TypeError, ValueError, StopIteration):
        first = ""
    if first == "model":
        return loss_fn(model, batch)
    return loss_fn(model(*batch[:-1]), batch[-1])


def train(training: Training) -> tuple[float, float, bool]:
    """Trains it for real. Returns what is minimised before and after, and whether all losses were finite."""
    losses: list[float] = []
    before = training.metric(training.model) if training.metric else None
    for i in range(training.steps):
        batch = training.batch(i)

        def closure(batch: Any = batch) -> torch.Tensor:
            training.optimizer.zero_grad()
            loss = loss_of(training, batch)
            loss.backward()
            return loss

        losses.append(float(training.optimizer.step(closure).detach()))
        if losses[-1] != losses[-1]:
            break
    last = max(3, training.steps // 10)
    finite = all(abs(each) < float("inf") for each in losses)
    finite = finite and all(bool(torch.isfinite(p).all()) for p in training.model.parameters())
    after = training.metric(training.model) if training.metric else sum(losses[-last:]) / last
    return before if before is not None else losses[0], after, finite


def batches(*tensors: torch.Tensor, size: int = 32) -> Callable[[int], tuple[torch.Tensor, ...]]:
    """The i-th shuffled mini-batch of a data set, the same for each call with the same i."""
    n = len(tensors[0])

    def batch(i: int) -> tuple[torch.Tensor, ...]:
        pick = torch.randperm(n, generator=torch.Generator().manual_seed(i))[:size]
        return tuple(each[pick] for each in tensors)

    return batch


def images(n: int = 256, channels: int = 1, side: int = 28, classes: int = 10) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in [0, 1]: a smooth shape for each class, shifted and noisy, mostly dark as digits are."""
    y = torch.randint(classes, (n,))
    shapes = torch.nn.functional.interpolate(torch.randn(classes, channels, 5, 5), size=(side, side), mode="bicubic")
    x = torch.sigmoid(4 * shapes[y] - 2)
    shifts = torch.randint(-2, 3, (n, 2))
    x = torch.stack([torch.roll(a, tuple(s.tolist()), (1, 2)) for a, s in zip(x, shifts, strict=True)])
    return (x + 0.1 * torch.randn_like(x)).clamp(0, 1), y


_LINE = "the cat sat on a mat and ran to red big dog who saw old king of rome eat ripe figs in sun"
WORDS = _LINE.split()


def text(n: int = 4000) -> tuple[torch.Tensor, int]:
    """Characters of made-up sentences, as ids, and the size of the vocabulary."""
    picks = torch.randint(len(WORDS), (n,)).tolist()
    line = " ".join(WORDS[(p + q) % len(WORDS)] for p, q in itertools.pairwise(picks))[:n]
    vocabulary = sorted(set(line))
    return torch.tensor([vocabulary.index(c) for c in line]), len(vocabulary)


def windows(ids: torch.Tensor, length: int, size: int = 16) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    """`get_batch` of many language-model scripts: inputs, and the same one character later."""

    def batch(i: int) -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(ids) - length - 1, (size,), generator=torch.Generator().manual_seed(i))
        x = torch.stack([ids[s : s + length] for s in starts])
        y = torch.stack([ids[s + 1 : s + length + 1] for s in starts])
        return x, y

    return batch


def series(n: int = 600, channels: int = 1) -> torch.Tensor:
    """Seasonal, noisy series of shape (n, channels), about zero with about unit variance."""
    t = torch.arange(n, dtype=torch.float32)[:, None]
    period = 12 + 20 * torch.rand(channels)
    return 1.3 * torch.sin(2 * torch.pi * (t / period + torch.rand(channels))) + 0.2 * torch.randn(n, channels)
