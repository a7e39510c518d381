"""How much a badly chosen learning rate costs: Wortsman et al., "Small-scale proxies for large-scale Transformer
training instabilities", 2023 (Figure 1).

    python benchmarks/papers/lr_sensitivity.py

A transformer of two layers, 64 wide, four heads, learns to copy: AdamW (0.9, 0.95), 300 steps, the learning rate warmed
up in 30 and brought down by a cosine, seven rates from 3e-4 to 3e-1. Below it is what the paper varies, QK-norm
(LayerNorm on queries and keys), and what this library does in place of the paper's clip:

    clip 1.0                 `torch.nn.utils.clip_grad_norm_`, in the paper in every run
    clip 1.0, QK-norm
    no clip
    RobustClip               `steadygrad.clip.RobustClip`, called in the loop
    watch                    `steadygrad.watch(mode="repair")`, nothing else
    watch, QK-norm

LR sensitivity is the paper's: the mean over the rates of min(l, l_0) - l*, where l is the loss at the end (on held-out
sequences), l_0 the loss before the first step, and l* the best over the rates. It is 0 where all rates do equally well.
It says nothing about l* itself, which is shown beside it. A run that `watch` stops counts with the loss of its last
weights. A seed is a first set of weights and a stream of sequences, the same in all rows; the interval is a bootstrap
over the seeds (95 %).
"""

import io
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass, field
from statistics import fmean, median
from tempfile import TemporaryDirectory

import torch
from intervals import bootstrap
from script import Script
from torch import Tensor, nn

import steadygrad as sg

RATES = tuple(3e-4 * 1000 ** (place / 6) for place in range(7))
STEPS, WARM_UP = 300, 30
WIDTH, HEADS, LAYERS = 64, 4, 2
SYMBOLS, HALF, BATCH = 32, 12, 16
"""Kinds of symbols; symbols to copy; sequences in a batch."""

HELD_OUT = 256

PAPER = (
    "In the paper (Figure 1) the loss without QK-norm gets worse by nats at high rates and the sooner the larger the "
    "model, with QK-norm it stays near its best up to the highest rates; it prints curves, no table of these numbers."
)


class Attention(nn.Module):
    """Causal self-attention, with or without QK-norm. After a call `logits` holds the largest attention logit."""

    def __init__(self, qk_norm: bool) -> None:
        super().__init__()
        self.qkv, self.out = (nn.Linear(WIDTH, size * WIDTH, bias=False) for size in (3, 1))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH // HEADS) if qk_norm else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Of (batch, time, width)."""
        batch, time, _ = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k = self.norms[0](q), self.norms[1](k)
        logits = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])
        self.logits = logits.detach().abs().amax()
        future = torch.ones(time, time, dtype=torch.bool).triu(1)
        mixed = logits.masked_fill(future, -math.inf).softmax(3) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, time, WIDTH))


class Block(nn.Module):
    """A pre-norm layer."""

    def __init__(self, qk_norm: bool) -> None:
        super().__init__()
        self.attention = Attention(qk_norm)
        self.before_attention, self.before_between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.between = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Of (batch, time, width)."""
        x = x + self.attention(self.before_attention(x))
        return x + self.between(self.before_between(x))


class Transformer(nn.Module):
    """Learned positions, pre-norm layers, a final norm, a decoder of its own."""

    def __init__(self, qk_norm: bool) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(SYMBOLS + 1, WIDTH), nn.Parameter(torch.zeros(2 * HALF, WIDTH))
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(WIDTH))
        nn.init.normal_(self.position, std=1 / math.sqrt(WIDTH))
        self.body = nn.Sequential(*(Block(qk_norm) for _ in range(LAYERS)), nn.LayerNorm(WIDTH))
        self.decoder = nn.Linear(WIDTH, SYMBOLS, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the symbols to copy, (batch, HALF, symbols), of tokens (batch, 2 HALF)."""
        return self.decoder(self.body(self.embedding(tokens) + self.position)[:, HALF:])

    def loss(self, symbols: Tensor) -> Tensor:
        """Of symbols (batch, HALF): the mean cross-entropy of writing them once more."""
        tokens = torch.cat([symbols, torch.full((len(symbols), 1), SYMBOLS), symbols[:, :-1]], dim=1)
        return nn.functional.cross_entropy(self(tokens).flatten(0, 1), symbols.flatten())


@dataclass(frozen=True)
class Row:
    """One way to train: QK-norm or not, and what is done about the gradients."""

    name: str
    qk_norm: bool = False
    clip: Callable[[], Callable[[nn.Module], object]] | None = None
    watched: bool = False


def _torch_clip() -> Callable[[nn.Module], object]:
    return lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1.0)


ROWS = (
    Row("clip 1.0", clip=_torch_clip),
    Row("clip 1.0, QK-norm", clip=_torch_clip, qk_norm=True),
    Row("no clip"),
    Row("RobustClip", clip=sg.clip.RobustClip),
    Row("watch", watched=True),
    Row("watch, QK-norm", watched=True, qk_norm=True),
)


@dataclass
class Run:
    """How one training ended."""

    row: str
    rate: float
    seed: int
    before: float
    after: float
    max_logit: float
    stopped: bool
    said: list[str] = field(default_factory=list)


def train(row: Row, rate: float, seed: int, steps: int) -> Run:
    """One training."""
    torch.manual_seed(seed)
    model = Transformer(row.qk_norm)
    generator = torch.Generator().manual_seed(seed)
    held_out = torch.randint(SYMBOLS, (HELD_OUT, HALF), generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _shape(step, steps))
    clip = None if row.clip is None else row.clip()
    said = io.StringIO()
    stopped = False
    with torch.no_grad():
        before = model.loss(held_out).item()
    with ExitStack() as stack:
        stack.enter_context(redirect_stderr(said))
        if row.watched:  # what is repaired is what the recording shows
            folder = stack.enter_context(TemporaryDirectory(prefix="lr-"))
            stack.enter_context(sg.watch(model, optimizer, mode="repair", record=folder))
        try:
            for _ in range(steps):
                loss = model.loss(torch.randint(SYMBOLS, (BATCH, HALF), generator=generator))
                optimizer.zero_grad()
                loss.backward()
                if clip is not None:
                    clip(model)
                optimizer.step()
                schedule.step()
        except sg.TrainingDiverged:
            stopped = True
    with torch.no_grad():
        after = model.loss(held_out).item()
    logit = max(block.attention.logits.item() for block in model.body if isinstance(block, Block))
    return Run(row.name, rate, seed, before, after, logit, stopped, said.getvalue().splitlines())


def _shape(step: int, steps: int) -> float:
    """Up in a straight line, down in half a cosine."""
    warm_up = min(WARM_UP, steps // 4)
    return min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * step / steps)))


def sensitivity(before: float, after: Sequence[float]) -> float:
    """LR sensitivity of one seed: losses at the end, one a rate; one that is not finite counts as `before`.

    >>> sensitivity(3.0, [1.0, 0.5, math.nan, 7.0])
    1.375
    """
    kept = [min(loss, before) if math.isfinite(loss) else before for loss in after]
    return fmean(kept) - min(kept)


def main() -> None:
    """Train, print the tables."""
    script = Script(__doc__ or "", seeds=3, quick_seeds=1)
    options = script.parse()
    rates, steps = (RATES[::3], 40) if options.quick else (RATES, STEPS)
    runs: dict[tuple[str, float, int], Run] = {}
    with script.progress(len(ROWS) * len(rates) * options.seeds) as bar:
        for row in ROWS:
            for rate in rates:
                for seed in range(options.seeds):
                    bar(1, f"{row.name}, rate {rate:.1e}, seed {seed}")
                    runs[row.name, rate, seed] = train(row, rate, seed, steps)
    summary = script.table(
        f"LR sensitivity, {len(rates)} rates, {options.seeds} seeds of {steps} steps",
        *("", "LR sensitivity", "95 % interval", "best loss", "max attention logit, highest rate", "stopped"),
    )
    curves = script.table("Loss at the end, median over the seeds", "rate", *(f"{rate:.1e}" for rate in rates))
    rows = []
    for row in ROWS:
        mine = [[runs[row.name, rate, seed] for rate in rates] for seed in range(options.seeds)]
        each = [sensitivity(of_seed[0].before, [run.after for run in of_seed]) for of_seed in mine]
        low, high = bootstrap(each)
        best = fmean(min(_or_inf(run.after) for run in of_seed) for of_seed in mine)
        logit = median(of_seed[-1].max_logit for of_seed in mine)
        stopped = sum(run.stopped for of_seed in mine for run in of_seed)
        summary.add_row(
            row.name,
            *(f"{fmean(each):.3f}", f"{low:.3f} to {high:.3f}", f"{best:.3f}", f"{logit:,.0f}"),
            f"{stopped}/{len(rates) * options.seeds}",
        )
        medians = [median(_or_inf(of_seed[place].after) for of_seed in mine) for place in range(len(rates))]
        curves.add_row(row.name, *(f"{loss:.3f}" for loss in medians))
        rows.append(
            {
                "name": row.name,
                "sensitivity": fmean(each),
                "interval": [low, high],
                "each": each,
                "best": best,
                "medians": medians,
                "max_logit": logit,
                "stopped": stopped,
            }
        )
    script.console.print(summary)
    script.console.print(curves)
    first = fmean(run.before for run in runs.values())
    script.console.print(f"Loss before the first step: {first:.3f} (chance: {math.log(SYMBOLS):.3f}).")
    script.console.print(PAPER)
    script.finish(rates=rates, rows=rows, runs=[vars(run) for run in runs.values()])


def _or_inf(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


if __name__ == "__main__":
    main()
