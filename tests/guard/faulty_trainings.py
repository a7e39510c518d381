"""Small real trainings with something broken in them: three networks, three optimizers, two dozen faults.

A training is 360 steps of half a second to a second in all, and the same to the last bit at every call: weights and
batches come from seeds. The learning rate is constant and goes down to a tenth at the end, as in most trainings, so
that the last loss says what was learned and not where the noise stood. What is compared is the loss on held-out
batches, in evaluation mode.
"""

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import steadygrad as sg
from steadygrad.diagnosis import judge

STEPS = 360

FAULT_STEP = 150
"""Where a fault happens, or begins."""

DECAY_STEP, LAST_RATE = 250, 0.1
"""From this step on the learning rate goes down in a line, to this share of itself."""

HELD_OUT = -1
"""The seed of the batches that no training sees."""

BATCH, TIME = 16, 12
LETTERS, CLASSES, SIDE = 12, 6, 10


class Lstm(nn.Module):
    """Follows a hidden sum through a noisy sequence, a number at each time."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LSTM(3, 20, batch_first=True)
        self.head = nn.Linear(20, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[0])[..., 0]


class Transformer(nn.Module):
    """Predicts the next letter of a made-up language: one pre-norm layer of causal attention."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(LETTERS, width), nn.Embedding(TIME, width)
        self.before_attention, self.before_between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.between = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, LETTERS))

    def forward(self, letters: Tensor) -> Tensor:
        x = self.embedding(letters) + self.position.weight
        batch, time, width = x.shape
        q, k, v = self.qkv(self.before_attention(x)).view(batch, time, 3, 2, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, time, width))
        return self.head(x + self.between(self.before_between(x)))


class Conv(nn.Sequential):
    """Tells noisy images of six templates apart; two batch norms."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, CLASSES),
        )


def _sequences(count: int, batches: torch.Generator, task: torch.Generator) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, BATCH, TIME, 3, generator=batches)
    y, memory = torch.zeros(count, BATCH, TIME), torch.zeros(count, BATCH)
    for time in range(TIME):
        memory = 0.8 * memory + x[:, :, time, 0]
        if time >= 2:
            memory = memory - 0.5 * x[:, :, time - 2, 1]
        y[:, :, time] = memory
    # What nobody can predict, as in most real data: it keeps the loss away from 0, where percents say nothing.
    return x, y + 0.7 * torch.randn(y.shape, generator=batches)


def _letters(count: int, batches: torch.Generator, task: torch.Generator) -> tuple[Tensor, Tensor]:
    """A Markov chain: what the last letter and the last but one make likely."""
    last, last_but_one = (2.0 * torch.randn(LETTERS, LETTERS, generator=task) for _ in range(2))
    text = torch.randint(LETTERS, (count * BATCH, TIME + 1), generator=batches)
    for time in range(2, TIME + 1):
        likely = (last[text[:, time - 1]] + last_but_one[text[:, time - 2]]).softmax(-1)
        text[:, time] = torch.multinomial(likely, 1, generator=batches)[:, 0]
    text = text.view(count, BATCH, TIME + 1)
    return text[..., :-1], text[..., 1:]


def _images(count: int, batches: torch.Generator, task: torch.Generator) -> tuple[Tensor, Tensor]:
    templates = 0.5 * torch.randn(CLASSES, 1, SIDE, SIDE, generator=task)
    y = torch.randint(CLASSES, (count, BATCH), generator=batches)
    return templates[y] + 1.5 * torch.randn(count, BATCH, 1, SIDE, SIDE, generator=batches), y


@dataclass(frozen=True)
class Kind:
    """A network, its data, its loss, and the learning rates that it trains well with: a third or three times are worse."""

    model: Callable[[], nn.Module]
    data: Callable[[int, torch.Generator, torch.Generator], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]
    rates: dict[str, float]


KINDS = {
    "lstm": Kind(Lstm, _sequences, lambda out, y: (out - y).square().mean(), {"sgd": 0.1, "adamw": 0.02}),
    "transformer": Kind(
        Transformer,
        _letters,
        lambda out, y: cross_entropy(out.flatten(0, 1), y.flatten()),
        {"sgd": 0.15, "adamw": 0.01},
    ),
    "conv": Kind(Conv, _images, cross_entropy, {"sgd": 0.03, "adamw": 0.01}),
}

OPTIMIZERS = ("sgd", "adamw", "fused-adamw")


def _optimizer(name: str, kind: str, model: nn.Module) -> torch.optim.Optimizer:
    rates = KINDS[kind].rates
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rates["sgd"], momentum=0.9)
    return torch.optim.AdamW(model.parameters(), lr=rates["adamw"], fused=name == "fused-adamw")


@lru_cache(maxsize=32)
def batches(kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """All batches of a training, or the held-out ones. The task itself is the same for all seeds."""
    count = STEPS if seed != HELD_OUT else 64
    return KINDS[kind].data(count, torch.Generator().manual_seed(1000 + seed), torch.Generator().manual_seed(7))


def _no_factor(step: int) -> float:
    return 1.0


@dataclass(frozen=True)
class Fault:
    """What is broken: factors on inputs, loss and learning rate by step, or a state that is spoiled before one step.

    `transient` means that it ends, so that the training can still end as if nothing had been. `factor` multiplies the
    inputs where they are numbers, and the loss where they are letters; `loss` always multiplies the loss.
    """

    transient: bool
    factor: Callable[[int], float] = _no_factor
    loss: Callable[[int], float] = _no_factor
    rate: Callable[[int], float] = _no_factor
    spoil: Callable[[nn.Module, torch.optim.Optimizer], None] | None = None
    kinds: tuple[str, ...] = tuple(KINDS)
    optimizers: tuple[str, ...] = OPTIMIZERS


def _at(value: float, first: int, count: float = 1) -> Callable[[int], float]:
    return lambda step: value if first <= step < first + count else 1.0


def _growing(to: float) -> Callable[[int], float]:
    """From 1 at the step of the fault to `to` 200 steps later, by the same factor each step, and that for ever."""
    return lambda step: to ** min(1.0, max(0.0, (step - FAULT_STEP) / 200))


def _scale_momentum(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for state in optimizer.state.values():
        state["exp_avg" if "exp_avg" in state else "momentum_buffer"].mul_(1e6)


def _forget_second_moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for state in optimizer.state.values():
        state["exp_avg_sq"].zero_()


def _nan_in_momentum(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One element of one tensor: the last weight matrix."""
    weight = [param for param in model.parameters() if param.dim() > 1][-1]
    state = optimizer.state[weight]
    state["exp_avg" if "exp_avg" in state else "momentum_buffer"][0, 0] = math.nan


def _running_variance(value: float) -> Callable[[nn.Module, torch.optim.Optimizer], None]:
    def spoil(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
                module.running_var.fill_(value)

    return spoil


NAN, HUGE, EVER = math.nan, 1e4, math.inf
_ADAMW = ("adamw", "fused-adamw")

FAULTS = {
    "nan-batch": Fault(True, factor=_at(NAN, FAULT_STEP)),
    "huge-batch": Fault(True, loss=_at(HUGE, FAULT_STEP)),
    "five-nan-batches": Fault(True, factor=_at(NAN, FAULT_STEP, 5)),
    "five-huge-batches": Fault(True, loss=_at(HUGE, FAULT_STEP, 5)),
    "lr-10x-for-20": Fault(True, rate=_at(10, FAULT_STEP, 20)),
    "lr-1000x-for-20": Fault(True, rate=_at(1000, FAULT_STEP, 20)),
    "momentum-1e6": Fault(True, spoil=_scale_momentum),
    "momentum-nan": Fault(True, spoil=_nan_in_momentum),
    "second-moment-0": Fault(True, spoil=_forget_second_moments, optimizers=_ADAMW),
    # Batch norm does not read these while it trains. They heal by a tenth each step, so only a NaN, or a number that is
    # still too large 210 steps later, does harm; 0.9 ** 210 is 2e-10.
    "bn-nan": Fault(True, spoil=_running_variance(NAN), kinds=("conv",)),
    "bn-1e12": Fault(True, spoil=_running_variance(1e12), kinds=("conv",)),
    "bn-negative": Fault(True, spoil=_running_variance(-1e12), kinds=("conv",)),
    # Batch norm makes ordinary activations and gradients of such inputs, and keeps their variance for the evaluation.
    "huge-inputs-late": Fault(True, factor=_at(HUGE, STEPS - 20), kinds=("conv",)),
    # Fused or not, AdamW does the same in these steps: each takes every second one, to save time.
    **{f"nan-at-{step}": Fault(True, loss=_at(NAN, step), optimizers=("sgd", _ADAMW[step % 2])) for step in range(4)},
    **{f"huge-at-{step}": Fault(True, loss=_at(HUGE, step), optimizers=("sgd", _ADAMW[step % 2])) for step in range(4)},
    "nan-for-ever": Fault(False, factor=_at(NAN, FAULT_STEP, EVER)),
    "lr-10x-for-ever": Fault(False, rate=_at(10, FAULT_STEP, EVER)),
    "lr-1000x-for-ever": Fault(False, rate=_at(1000, FAULT_STEP, EVER)),
    "loss-grows": Fault(False, loss=_growing(1e3)),
    "lr-grows": Fault(False, rate=_growing(1.05**200)),
}

CELLS = [
    (fault, kind, optimizer)
    for fault, what in FAULTS.items()
    for kind in KINDS
    if kind in what.kinds
    for optimizer in OPTIMIZERS
    if optimizer in what.optimizers
]
"""Every fault in every training that it can happen to."""

LOST = frozenset({"skip", "hold", "undo"})
"""Actions after which a step has not been made (and, with "undo", the one before has been taken back)."""


@dataclass(frozen=True)
class Deeds:
    """What a recorded run says was done, and what is said of the run. `let_go` is why the watching ended early."""

    verdict: str
    reason: str
    alarms: tuple[tuple[int, str], ...]
    actions: Counter[str]
    steps: int
    lost: int
    longest_lost: int
    clips: int
    let_go: str

    @property
    def rate_changes(self) -> int:
        """How many times the learning rate was lowered or brought back."""
        return sum(count for name, count in self.actions.items() if name.endswith("-lr"))

    @property
    def rollbacks(self) -> int:
        """How many times the training was put back to an earlier state."""
        return self.actions["roll-back"]


def deeds(run: Path) -> Deeds:
    """Read a recorded run. The steps lost in a row are counted over neighbouring optimizer steps."""
    recorded = sg.open_run(run)
    judgement = judge(recorded)
    alarms: list[tuple[int, str]] = []
    actions: Counter[str] = Counter()
    steps = lost = longest = clips = 0
    for recording in recorded.recordings:
        alarms += [(alarm.step, alarm.detector) for alarm in recording.alarms()]
        actions.update(action.action for action in recording.actions())
        for optimizer in recording.step_counts():
            done = recording.steps(optimizer).action.astype(str)
            is_lost = np.isin(done, list(LOST))
            steps, lost, clips = steps + len(done), lost + int(is_lost.sum()), clips + int((done == "clip").sum())
            longest = max([longest, *(len(list(run)) for was_lost, run in groupby(is_lost) if was_lost)])
    let_go = "; ".join(str(event.detail.get("error", "")) for event in recorded.events() if event.name == "detached")
    return Deeds(judgement.verdict, judgement.reason, tuple(alarms), actions, steps, lost, longest, clips, let_go)


@dataclass
class Outcome:
    """What a training left behind.

    `losses` are those that the script saw; `final` is that on the held-out batches, and `before` the same before the
    step of the fault, which only bare runs measure.
    """

    losses: list[float] = field(default_factory=list)
    before: float = math.nan
    final: float = math.nan
    finite: bool = False
    stopped: sg.TrainingDiverged | None = None
    run: Path | None = None
    deeds: Deeds | None = None
    state: dict[str, Tensor] = field(default_factory=dict)


def _loss(kind: str, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return KINDS[kind].loss(model(x), y)


def evaluate(kind: str, model: nn.Module) -> float:
    """The loss on the held-out batches, in evaluation mode."""
    x, y = batches(kind, HELD_OUT)
    model.eval()
    with torch.no_grad():
        return float(_loss(kind, model, x.flatten(0, 1), y.flatten(0, 1)))


def all_finite(state: dict[str, Tensor]) -> bool:
    """Whether no number of a state is NaN or infinite."""
    return all(bool(value.isfinite().all()) for value in state.values())


def _schedule(fault: Fault) -> Callable[[int], float]:
    def factor(step: int) -> float:
        late = max(0.0, (step - DECAY_STEP) / (STEPS - DECAY_STEP))
        return (1.0 - (1.0 - LAST_RATE) * late) * fault.rate(step)

    return factor


def train(
    kind: str,
    optimizer: str,
    fault: str | None = None,
    watch: Literal["observe", "protect"] | None = None,
    *,
    record: Path | Literal[False] = False,
    data_seed: int = 0,
) -> Outcome:
    """One training.

    Args:
        kind: one of `KINDS`.
        optimizer: one of `OPTIMIZERS`.
        fault: one of `FAULTS`, or None for a healthy run.
        watch: the mode of `sg.watch`, or None for the bare run.
        record: where the run's folder is made; `Outcome.deeds` is known only then.
        data_seed: which batches. The first weights are always the same.

    Returns:
        What came of it. Of the errors only `TrainingDiverged` from `optimizer.step()` is kept; others are raised.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these networks gain nothing from more, and their sums would depend on the machine
    try:
        return _train(kind, optimizer, FAULTS[fault] if fault else Fault(True), watch, record, data_seed)
    finally:
        torch.set_num_threads(threads)


def _train(
    kind: str, name: str, fault: Fault, watch: str | None, record: Path | Literal[False], data_seed: int
) -> Outcome:
    torch.manual_seed(0)
    model = KINDS[kind].model()
    optimizer = _optimizer(name, kind, model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(fault))
    watched = sg.watch(model, optimizer, mode=watch, record=record, snapshot_every=32) if watch else None
    outcome = Outcome()
    xs, ys = batches(kind, data_seed)
    try:
        for step in range(STEPS):
            if watched is None and step == FAULT_STEP:
                outcome.before = evaluate(kind, model)
                model.train()
            if fault.spoil is not None and step == FAULT_STEP:
                with torch.no_grad():
                    fault.spoil(model, optimizer)
            x, factor = xs[step], fault.loss(step)
            if x.is_floating_point():
                x = x * fault.factor(step)
            else:
                factor *= fault.factor(step)
            optimizer.zero_grad()
            loss = _loss(kind, model, x, ys[step]) * factor
            loss.backward()
            outcome.losses.append(loss.item())
            try:
                optimizer.step()
            except sg.TrainingDiverged as error:
                outcome.stopped = error
                break
            scheduler.step()
            if watched is None and math.isnan(outcome.losses[-1]) and not all_finite(dict(model.named_parameters())):
                break  # nothing brings a bare run back from here
    finally:
        if watched is not None:
            watched.close()
    outcome.state = {name: value.clone() for name, value in model.state_dict().items()}
    outcome.finite = all_finite(outcome.state)
    outcome.final = evaluate(kind, model)
    if watched is not None and watched.run is not None:
        outcome.run, outcome.deeds = watched.run, deeds(watched.run)
    return outcome


OTHER_BATCHES = tuple(range(1, 9))
"""Seeds of the healthy runs that tell the noise of a training."""

MOST_NOISE = 1.1
"""None of those ends higher than so many times the healthy run, as a test shows."""


@cache
def healthy(kind: str, optimizer: str) -> Outcome:
    """The healthy run that nobody watches, made once."""
    return train(kind, optimizer)


@cache
def healthy_others(kind: str, optimizer: str) -> tuple[float, ...]:
    """The final losses of healthy runs on other batches of the same data: what chance alone does."""
    if optimizer == "fused-adamw":  # the arithmetic of AdamW, up to rounding: its noise is the same
        return healthy_others(kind, "adamw")
    return tuple(train(kind, optimizer, data_seed=seed).final for seed in OTHER_BATCHES)


def is_good(final: float, kind: str, optimizer: str, share: float) -> bool:
    """Whether a final loss is as good as the healthy run's: worse by `share` at most, or no worse than chance alone.

    That is the worst of eight healthy runs on other batches, which are made only when they decide. Losses are positive.
    """
    ratio = final / healthy(kind, optimizer).final
    if ratio <= 1.0 + share or not ratio <= MOST_NOISE:
        return ratio <= 1.0 + share
    return final <= max(healthy_others(kind, optimizer))


@cache
def bare(fault: str, kind: str, optimizer: str) -> Outcome:
    """The run with the fault that nobody watches, made once."""
    return train(kind, optimizer, fault)


TRANSIENT_SHARE, PERMANENT_SHARE = 0.02, 0.05
"""By how much the final loss may be worse than the healthy run's after a fault that ends, and with one that stays."""

MOST_LOST = 32
"""Steps in a row that may be lost."""

GOOD = frozenset({"healthy", "recovered"})
"""Verdicts that tell the user that all is well."""

TRIED = re.compile(r"skip|clip|roll|learning rate|left out")


def suffers(outcome: Outcome, fault: str, kind: str, optimizer: str) -> bool:
    """Whether a run with a fault ended worse than a healthy one may."""
    share = TRANSIENT_SHARE if FAULTS[fault].transient else PERMANENT_SHARE
    return not is_good(outcome.final, kind, optimizer, share)


def complaints(outcome: Outcome, fault: str, kind: str, optimizer: str) -> list[str]:
    """What is not as it has to be after a run with a fault in protect mode; empty when all is.

    After a fault that ends, the run must end as a healthy one does. With one that stays, it must be verified to be back
    where it was before, or be stopped; it need not get where a healthy one gets. A fault that stays may also be no more than a poor choice: then the bare run goes on learning, and ends better than
    it was before the fault, only less well than it could. No watcher can know that; nor may it make it worse.
    """
    assert outcome.deeds is not None, "the run was not recorded"
    sound, transient, done = healthy(kind, optimizer), FAULTS[fault].transient, outcome.deeds
    ratio = f"final loss {outcome.final / sound.final:.4g} of the healthy run's"
    found = []
    if done.let_go:
        found.append(f"steadygrad let go of the run: {done.let_go}")
    if not outcome.finite:
        found.append("the model is not finite")
    if done.longest_lost > MOST_LOST:
        found.append(f"{done.longest_lost} steps lost in a row")
    if outcome.stopped is not None:
        message = str(outcome.stopped)
        if transient:
            found.append(f"stopped by a fault that ends: {message}")
        if done.verdict != "stopped":
            found.append(f"stopped, but the verdict is {done.verdict}")
        if not re.search(r"step \d+", message):
            found.append(f"the error names no step: {message}")
        if not TRIED.search(message):
            found.append(f"the error does not say what was tried: {message}")
        if str(outcome.run) not in message:
            found.append(f"the error does not name the run's folder {outcome.run}: {message}")
        return found
    if suffers(outcome, fault, kind, optimizer):
        untouched = bare(fault, kind, optimizer)
        learns = not transient and untouched.final <= sound.before
        back = not transient and done.verdict in GOOD and outcome.final <= sound.before
        if learns and not back and not outcome.final <= (1.0 + TRANSIENT_SHARE) * untouched.final:
            found.append(f"{ratio}, worse than the bare run's, which goes on learning")
        elif not learns and not back:
            found.append(ratio)
        good = is_good(outcome.final, kind, optimizer, PERMANENT_SHARE) or outcome.final <= sound.before
        if done.verdict in GOOD and not good:
            found.append(f"the verdict is {done.verdict}, and the loss is not good")
    return found
