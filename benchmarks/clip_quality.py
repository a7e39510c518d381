"""What a clip policy does to the loss that a training ends with: without a fault, and with four kinds of them.

    python benchmarks/clip_quality.py
    python benchmarks/clip_quality.py --quick --json clip_quality.json
    python benchmarks/clip_quality.py --steps 2000 --seeds 3 --fault "heavy-tailed noise" --row RobustClip

A transformer of two layers and an LSTM, both 64 wide, learn to write the language reference that comes with Python,
letter by letter: AdamW, 500 steps, a learning rate that trains well without any clip, warmed up and brought down to
zero. All rows of a seed have the same first weights, batches and faults, so only the policy differs:

    no fault              every step is sound
    loss x1e4             the loss of the middle step is multiplied by 10,000
    NaN                   the loss of the middle step is multiplied by NaN
    rising scale          from step 200 on the loss is multiplied by a factor that rises from 1 to 10 in 200 steps and
                          stays there: a genuine change, and one that Adam can live with
    heavy-tailed noise    the loss of every step is multiplied by a random factor with mean 1 and no variance (Pareto,
                          tail index 1.5; the largest of 500 is about 40 times the median)

Measured is the loss on a held-out part of the text at the end, relative to that of the row "none" without a fault and
of the same seed: the median over the seeds, below it the range. "Own noise" is the same run as "heavy-tailed noise",
relative to "none" under the same noise instead. The spike score is the share of the steps since the fault began whose
training loss (without the fault's factor) lies at least seven standard deviations above the mean of the 100 before; the
step of the fault is neither judged nor part of a mean. It is shown where it is not 0, that of the worst seed. "Clipped"
is the share of all steps that a policy scaled, the median; `steadygrad.watch` does not tell.

When reading: what a burst does to Adam comes in over some twenty steps and stays, and a mean of 100 steps rises with
it, so a ruined run may well have no spike. And noise that multiplies the whole loss is what a clip of nearly every step
takes out entirely, whatever else it costs; a policy that leaves the run's own distribution alone leaves it in.

The rows: no clip, and `torch.nn.utils.clip_grad_norm_(params, 1.0)`, before an AdamW; policies with their defaults,
through `steadygrad.clip.attach` on a fused AdamW, which leaves a step out that is not finite; `RobustClip` called in
the loop before an AdamW, where such a gradient becomes zero; and `steadygrad.watch`, in which it is the default.
AutoClip, ZClip and AdaGC are those of this project: set as in their papers, but they follow a change of scale and
survive the NaN. The originals die of it: the NaN passes into the weights, and into their history for good.

Targets are checked for the rows of RobustClip and say "ok" or "missed"; nothing else follows from them. A policy wins a
column when its median is the lowest. A row with "=" is level with it: in some seed the winner did not end lower, or by
no more than what rounding does (measured: "none" once more with a fused AdamW).
"""

import argparse
import copy
import io
import json
import math
import platform
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics
from statistics import fmean, median

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn

import steadygrad as sg
from steadygrad.clip import AdaGC, AutoClip, Clipped, Policy, RobustClip, ZClip, attach

WIDTH = 64

BATCH, LENGTH = 8, 24
"""Windows of text in a batch, and their letters."""

LEARNING_RATES = {"transformer": 6e-3, "lstm": 2e-2}
"""About the best for "none" without a fault: half of it ends several percent higher, more at most one lower."""

WARM_UP = 30
"""Steps in which the learning rate rises."""

RISE = 10.0
"""How many times the loss has grown when the rising scale has risen."""

TAIL_INDEX = 1.5
"""Of the heavy-tailed noise: between 1 and 2 there is a mean and no variance."""

SPIKE_SIGMA, SPIKE_WINDOW, SPIKE_GUARD = 7.0, 100, 1e-10
"""A loss so many standard deviations above the mean of so many losses before it is a spike."""

NO_FAULT, BURST, NAN, RISING, HEAVY = "no fault", "loss x1e4", "NaN", "rising scale", "heavy-tailed noise"
FAULTS = (NO_FAULT, BURST, NAN, RISING, HEAVY)
OWN_NOISE = "own noise"

UNHARMED_BOUND = 0.002
"""How much worse than no clip a judged row may end without a fault, at the median."""

FAULT_BOUND = 0.01
"""How much worse than the sound run without a clip it may end with a fault."""


class Block(nn.Module):
    """Causal attention and a layer in between, each behind a norm."""

    def __init__(self, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.between = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Of (batch, time, width)."""
        batch, time, _ = x.shape
        q, k, v = self.qkv(self.before_attention(x)).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, time, WIDTH))
        return x + self.between(self.before_between(x))


class Transformer(nn.Module):
    """Two pre-norm layers with learned positions."""

    def __init__(self, letters: int) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(letters, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.body = nn.Sequential(Block(), Block(), nn.LayerNorm(WIDTH))
        self.decoder = nn.Linear(WIDTH, letters)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next letter, of tokens (batch, time)."""
        return self.decoder(self.body(self.embedding(tokens) + self.position.weight[: tokens.shape[1]]))


class Lstm(nn.Module):
    """One LSTM layer."""

    def __init__(self, letters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.decoder = nn.Linear(WIDTH, letters)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the next letter, of tokens (batch, time)."""
        return self.decoder(self.lstm(self.embedding(tokens))[0])


MODELS: dict[str, Callable[[int], nn.Module]] = {"transformer": Transformer, "lstm": Lstm}


@dataclass(frozen=True)
class Row:
    """A line of the table. `way` is how the policy gets at the gradients: attach, call, watch, torch or nothing."""

    name: str
    way: str = ""
    make: Callable[[], Policy] | None = None
    judged: bool = False

    @property
    def fused(self) -> bool:
        """Whether the optimizer is."""
        return self.way in {"attach", "fused"}


NONE = Row("none")

ROUNDING = Row("none, fused", "fused")
"""Differs from `NONE` in its rounding alone; in no table."""

ROWS = (
    NONE,
    Row("fixed 1.0", "torch"),
    Row("AutoClip(10)", "attach", lambda: AutoClip(10)),
    Row("ZClip", "attach", ZClip),
    Row("AdaGC", "attach", AdaGC),
    Row("RobustClip", "attach", RobustClip, judged=True),
    Row("RobustClip in the loop", "call", RobustClip, judged=True),
    Row("sg.watch", "watch", judged=True),
)


@dataclass(frozen=True)
class Run:
    """How one training ended.

    `loss` is that of the held-out text (None: dead), `spikes` the spike score, `clipped` the share of steps that were
    scaled (None where it is not told), `dead` whether a weight is not finite, `said` what `steadygrad.watch` printed.
    """

    model: str
    row: str
    fault: str
    seed: int
    loss: float | None
    spikes: float
    clipped: float | None
    dead: bool
    said: tuple[str, ...]


class Text:
    """The text in numbers: the same for everyone, cut into a part to learn from and a held-out one."""

    def __init__(self) -> None:
        text = " ".join(" ".join(topics[name].split()) for name in sorted(topics))
        text = text.encode("ascii", "ignore").decode()
        alphabet = sorted(set(text))
        codes = {letter: code for code, letter in enumerate(alphabet)}
        tokens = torch.tensor([codes[letter] for letter in text])
        self.letters = len(alphabet)
        self.learned, self.held_out = tokens[: -len(tokens) // 10], tokens[-len(tokens) // 10 :]

    def batches(self, seed: int, steps: int) -> Tensor:
        """Windows to learn from, (steps, BATCH, LENGTH + 1)."""
        starts = torch.randint(
            len(self.learned) - LENGTH, (steps, BATCH, 1), generator=torch.Generator().manual_seed(1_000 + seed)
        )
        return self.learned[starts + torch.arange(LENGTH + 1)]

    def judged(self) -> Tensor:
        """Windows of the held-out text, the same for every run."""
        starts = torch.linspace(0, len(self.held_out) - LENGTH - 1, 256).long()[:, None]
        return self.held_out[starts + torch.arange(LENGTH + 1)]


@dataclass(frozen=True)
class Fault:
    """What the loss of every step is multiplied by; `first` is the first step at which that is not 1."""

    name: str
    factors: tuple[float, ...]
    first: int
    single: bool


def faults(seed: int, steps: int) -> list[Fault]:
    """All of them, as they fall in a training of so many steps; of 500 the rise takes those from 200 to 400."""
    middle, begins, rise = steps // 2, 2 * steps // 5, 2 * steps // 5
    sound = [1.0] * steps
    rising = [RISE ** min(1.0, max(0.0, (step - begins) / rise)) for step in range(steps)]
    uniform = torch.rand(steps, generator=torch.Generator().manual_seed(2_000 + seed), dtype=torch.float64)
    heavy = ((TAIL_INDEX - 1) / TAIL_INDEX * (1 - uniform) ** (-1 / TAIL_INDEX)).tolist()

    def one(factor: float) -> tuple[float, ...]:
        return (*sound[:middle], factor, *sound[middle + 1 :])

    return [
        Fault(NO_FAULT, tuple(sound), 0, single=False),
        Fault(BURST, one(1e4), middle, single=True),
        Fault(NAN, one(math.nan), middle, single=True),
        Fault(RISING, tuple(rising), begins + 1, single=False),
        Fault(HEAVY, tuple(heavy), 0, single=False),
    ]


class Training:
    """A model, its optimizer and a policy, from the seed's first weights on.

    Args:
        kind: which of `MODELS`.
        row: what is done about the gradients.
        seed: of the weights and batches.
        text: to learn.
        steps: how many there will be.
    """

    def __init__(self, kind: str, row: Row, seed: int, text: Text, steps: int) -> None:
        self.kind, self.row, self.seed, self.text, self.steps = kind, row, seed, text, steps
        torch.manual_seed(seed)
        self.model = MODELS[kind](text.letters)
        self.params = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(self.params, lr=LEARNING_RATES[kind], fused=row.fused)
        self.losses: list[float] = []
        self.clipped = 0
        self.dead = False
        self._batches = text.batches(seed, steps)
        self._use(None if row.make is None else row.make())
        self._said = io.StringIO()
        self._watch = sg.watch(self.model, self.optimizer, record=False) if row.way == "watch" else None

    def copy(self) -> "Training | None":
        """Another one at the same place, which goes its own way; None where the state cannot be copied."""
        if self._watch is not None:
            return None
        other = Training(self.kind, self.row, self.seed, self.text, self.steps)
        other.model.load_state_dict(self.model.state_dict())
        other.optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))
        other._use(copy.deepcopy(self.policy))
        other.losses, other.clipped, other.dead = list(self.losses), self.clipped, self.dead
        return other

    def train(self, factors: Sequence[float], until: int) -> None:
        """Make the steps up to `until`, each with its factor on the loss; a dead run stands still."""
        while len(self.losses) < until and not self.dead:
            step = len(self.losses)
            for group in self.optimizer.param_groups:
                group["lr"] = LEARNING_RATES[self.kind] * _schedule(step, self.steps)
            loss = self._loss(self._batches[step])
            self.optimizer.zero_grad()
            (loss * factors[step]).backward()
            with redirect_stderr(self._said):
                self._clip_and_step()
            self.losses.append(loss.item())
            if not math.isfinite(self.losses[-1]):
                self.dead = not all(bool(param.isfinite().all()) for param in self.params)
        self.losses += [math.nan] * (until - len(self.losses))

    def finish(self, fault: Fault) -> Run:
        """Judge what has come out."""
        if self._watch is not None:
            with redirect_stderr(self._said):
                self._watch.close()
        self.dead = self.dead or not all(bool(param.isfinite().all()) for param in self.params)
        with torch.no_grad():
            loss = self._loss(self.text.judged()).item()
        return Run(
            model=self.kind,
            row=self.row.name,
            fault=fault.name,
            seed=self.seed,
            loss=loss if math.isfinite(loss) else None,
            spikes=spike_score(self.losses, fault.first, leave_out=fault.first if fault.single else None),
            clipped=None if self._watch is not None else self.clipped / self.steps,
            dead=self.dead,
            said=tuple(self._said.getvalue().splitlines()),
        )

    def _loss(self, windows: Tensor) -> Tensor:
        logits = self.model(windows[:, :-1])
        return nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    def _use(self, policy: Policy | None) -> None:
        self.policy = policy
        if hasattr(self, "_attached"):
            self._attached.remove()
        if self.row.way == "attach" and policy is not None:
            self._attached = attach(policy, self.optimizer)

    def _clip_and_step(self) -> None:
        result: Clipped | None = None
        if self.row.way == "torch":
            self.clipped += torch.nn.utils.clip_grad_norm_(self.params, 1.0).item() > 1.0
        elif self.row.way == "call" and self.policy is not None:
            result = self.policy(self.model)
        self.optimizer.step()
        if self.row.way == "attach":
            result = self._attached.last
        if result is not None and bool(result.finite):
            self.clipped += result.clipped_norm.item() < (1 - 1e-6) * result.grad_norm.item()


def _schedule(step: int, steps: int) -> float:
    """Up in a straight line, down in half a cosine."""
    return min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * step / steps)))


def spike_score(losses: Sequence[float], first: int, leave_out: int | None = None) -> float:
    """The share of losses that are spikes.

    Args:
        losses: of every step, without the fault's factor. One that is not finite is a spike, and in no mean.
        first: the step from which on they are judged, if there are enough before it.
        leave_out: a step that is neither judged nor part of a mean.

    Returns:
        The share, 0 to 1.

    >>> spike_score([1.0, 1.1] * 60 + [9.0] + [1.0] * 9, 120)
    0.1
    """
    window: deque[float] = deque(maxlen=SPIKE_WINDOW)
    judged = spikes = 0
    for step, loss in enumerate(losses):
        if step == leave_out:
            continue
        if step >= first and len(window) == SPIKE_WINDOW:
            judged += 1
            middle = fmean(window)
            spread = math.sqrt(fmean((each - middle) ** 2 for each in window))
            spikes += not loss < middle + SPIKE_SIGMA * (spread + SPIKE_GUARD)
        if math.isfinite(loss):
            window.append(loss)
    return spikes / max(1, judged)


def runs_of(
    kind: str, row: Row, seed: int, text: Text, steps: int, made: Callable[[int], None], only: str | None = None
) -> list[Run]:
    """Train one row of one seed through all faults. What is the same up to a fault's first step is trained once.

    Args:
        kind: which of `MODELS`.
        row: what is done about the gradients.
        seed: of weights, batches and noise.
        text: to learn.
        steps: of each training.
        made: is told how many trainings are done.
        only: the fault that is made, beside none; None: all of them.

    Returns:
        A run for each fault.
    """
    runs = []
    sound, *others = faults(seed, steps)
    trunk = Training(kind, row, seed, text, steps)
    branches: list[tuple[Fault, Training]] = []
    chosen = [fault for fault in others if row is not ROUNDING and only in (None, fault.name)]
    for fault in sorted(chosen, key=lambda fault: fault.first):
        trunk.train(sound.factors, fault.first)
        branches.append((fault, trunk.copy() or Training(kind, row, seed, text, steps)))
    for fault, training in (*branches, (sound, trunk)):
        training.train(fault.factors, steps)
        runs.append(training.finish(fault))
        made(1)
    return runs


@dataclass(frozen=True)
class Cell:
    """A row in a column: over the seeds, how much worse (as a fraction) the runs end than those they are compared with.

    `worse` is the median of `each` seed; a dead run is infinitely worse. `spikes` is the largest spike score of a seed.
    """

    model: str
    row: str
    column: str
    worse: float
    each: tuple[float, ...]
    dead: int
    spikes: float
    clipped: float | None
    verdict: str


def cells_of(runs: Sequence[Run], kind: str, rows: Sequence[Row]) -> list[Cell]:
    """Compare the runs of one model with "none", seed by seed.

    Args:
        runs: all of them.
        kind: the model.
        rows: those to make cells of.

    Returns:
        A cell for each row and column.
    """
    by = {(run.row, run.fault, run.seed): run for run in runs if run.model == kind}
    seeds = sorted({run.seed for run in runs})
    cells = []
    for row in rows:
        for column in (*FAULTS, OWN_NOISE):
            fault, base = (HEAVY, HEAVY) if column == OWN_NOISE else (column, NO_FAULT)
            if (row.name, fault, seeds[0]) not in by:
                continue
            own = [by[row.name, fault, seed] for seed in seeds]
            worse = [_worse(run, by[NONE.name, base, run.seed]) for run in own]
            dead = sum(run.dead for run in own)
            spikes = max(run.spikes for run in own)
            told = [run.clipped for run in own if run.clipped is not None]
            verdict = ""
            if row.judged and column != OWN_NOISE:
                bound = UNHARMED_BOUND if column == NO_FAULT else FAULT_BOUND
                verdict = "ok" if median(worse) <= bound and not dead and spikes == 0 else "missed"
            cells.append(
                Cell(
                    model=kind,
                    row=row.name,
                    column=column,
                    worse=median(worse),
                    each=tuple(worse),
                    dead=dead,
                    spikes=spikes,
                    clipped=median(told) if told else None,
                    verdict=verdict,
                )
            )
    return cells


def _worse(run: Run, base: Run) -> float:
    if run.loss is None or base.loss is None:
        return math.inf
    return run.loss / base.loss - 1.0


def winners(cells: Sequence[Cell], rounding: float) -> dict[str, tuple[str, list[str]]]:
    """For each column the row with the lowest median, and those that it has not beaten in every seed.

    Args:
        cells: of one model.
        rounding: how far apart equal runs are.

    Returns:
        The winner and the rows that are level, the best first, by column.
    """
    result = {}
    for column in dict.fromkeys(cell.column for cell in cells):
        alive = sorted((cell for cell in cells if cell.column == column and not cell.dead), key=lambda cell: cell.worse)
        best = alive[0]
        level = [
            cell.row
            for cell in alive[1:]
            if any(other - own <= rounding for own, other in zip(best.each, cell.each, strict=True))
        ]
        result[column] = (best.row, level)
    return result


def main() -> None:
    """Train, print the tables, write JSON if asked."""
    parser = argparse.ArgumentParser(description="Measure what clip policies do to the loss that a training ends with.")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--quick", action="store_true", help="two seeds and 200 steps: a look")
    parser.add_argument("--only", choices=[*MODELS], help="train this model alone")
    parser.add_argument("--fault", choices=FAULTS[1:], help="make this fault alone")
    named = {row.name: row for row in ROWS}
    parser.add_argument("--row", choices=named, action="append", help="this row, beside `none`; may be given again")
    parser.add_argument("--steps", type=int, help="steps of each training (default: 500)")
    parser.add_argument("--seeds", type=int, help="trainings of each kind (default: 5)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds, steps = (2, 200) if args.quick else (5, 500)
    seeds, steps = args.seeds or seeds, args.steps or steps
    made = len(FAULTS) if args.fault is None else 2
    rows = [NONE, *(named[name] for name in args.row if name != NONE.name)] if args.row else ROWS
    kinds = [kind for kind in MODELS if args.only in (None, kind)]
    text = Text()
    runs: list[Run] = []
    with Progress(console=Console(file=sys.stderr), redirect_stderr=False) as progress:
        task = progress.add_task("", total=len(kinds) * seeds * (len(rows) * made + 1))
        for kind in kinds:
            for seed in range(seeds):
                for row in (ROUNDING, *rows):
                    progress.update(task, description=f"{kind}, seed {seed}, {row.name}")
                    advance = partial(progress.advance, task)
                    runs += runs_of(kind, row, seed, text, steps, advance, args.fault)
    machine = f"{platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}"
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    result: dict[str, object] = {"machine": machine, "seeds": seeds, "steps": steps, "models": {}}
    for kind in kinds:
        cells = cells_of(runs, kind, rows)
        apart = cells_of(runs, kind, [ROUNDING])[0]
        rounding = max(abs(each) for each in apart.each)
        first = [run for run in runs if (run.model, run.row, run.fault) == (kind, NONE.name, NO_FAULT)]
        show(console, f"{kind}, {seeds} seeds of {steps} steps ({machine})", cells, winners(cells, rounding))
        console.print(
            f"none without a fault ends at {median(run.loss or math.nan for run in first):.3f} nats a letter; "
            f"runs that differ in their rounding alone end up to {100 * rounding:.4f} % apart\n"
        )
        result["models"][kind] = {  # type: ignore[index]
            "rounding": rounding,
            "cells": [asdict(cell) for cell in cells],
            "winners": winners(cells, rounding),
        }
    result["runs"] = [asdict(run) for run in runs]
    if args.json is not None:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


def show(console: Console, title: str, cells: Sequence[Cell], best: dict[str, tuple[str, list[str]]]) -> None:
    """One table: a row a policy, a column a fault; the best of each column at the end."""
    table = Table(title=f"Held-out loss against no clip and no fault: {title}", header_style="bold", show_lines=True)
    table.add_column("policy")
    columns = list(dict.fromkeys(cell.column for cell in cells))
    for column in columns:
        table.add_column(column, justify="right")
    for row in dict.fromkeys(cell.row for cell in cells):
        own = {cell.column: _text(cell) for cell in cells if cell.row == row}
        table.add_row(row, *(own[column] for column in columns))
    table.add_row(
        "wins", *("\n".join((best[column][0], *(f"= {name}" for name in best[column][1]))) for column in columns)
    )
    console.print(table)


def _text(cell: Cell) -> str:
    if cell.dead:
        lines = [f"dead {cell.dead} of {len(cell.each)}"]
    else:
        lines = [_percent(cell.worse), f"{100 * min(cell.each):+.2f} to {100 * max(cell.each):+.2f}"]
    if cell.column != OWN_NOISE:
        if cell.spikes and not cell.dead:
            lines.append(f"spike score {cell.spikes:.3f}")
        if cell.clipped:
            lines.append(f"clipped {_percent(cell.clipped, '')}")
        if cell.verdict:
            lines.append(f"[{'green' if cell.verdict == 'ok' else 'red'}]{cell.verdict}[/]")
    return "\n".join(lines)


def _percent(fraction: float, sign: str = "+") -> str:
    return f"{100 * fraction:{sign}.2f} %"


if __name__ == "__main__":
    main()
