"""A ReLU RNN that begins with the identity remembers what an LSTM does: Le, Jaitly and Hinton, "A simple way to
initialize recurrent networks of rectified linear units", 2015 (Section 4.1, Figure 1).

    python benchmarks/papers/adding_problem.py
    python benchmarks/papers/adding_problem.py --length 150 --updates 20000

The adding problem: a sequence of numbers between 0 and 1, two of which are marked, one in each half; the net says their
sum after the last step. Who says 1 whatever it reads has a mean squared error of 1/6. One layer of 100 units, batches
of 16, gradients clipped to a norm of 1, Adam at the best of two rates for each row (by how many seeds solve it, then by
the median error):

    tanh RNN         torch's default
    ReLU RNN         torch's default
    IRNN             the ReLU RNN after `init.identity_recurrent_`
    LSTM             torch's default
    LSTM, chrono     after `init.chrono_`

A run has solved it when, at a check every 100 updates, its error on 1,000 fresh sequences is below a tenth of that of
saying 1. The first weights, sequences and checks of a seed are the same in all rows. The paper gives every run
millions of updates of plain SGD and goes to 400 steps; here it is Adam, and a budget of `--updates`, so a run that
fails has failed within it. The interval of a success rate is Wilson's, 95 %.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from intervals import wilson
from script import Script
from torch import Tensor, nn

from steadygrad import init

LENGTH, UPDATES = 100, 10_000
HIDDEN, BATCH = 100, 16
RATES = (1e-3, 3e-4)
CHECK, FRESH = 100, 1_000
CHANCE = 1 / 6
"""The error of who always says 1: the variance of a sum of two numbers between 0 and 1."""

SOLVED = CHANCE / 10

PAPER = (
    "In the paper (Figure 1) LSTM and IRNN solve 150 steps, the RNNs with tanh and with ReLU and default weights stay "
    "near 0.1767 for long; it prints curves, no table of these numbers."
)


@dataclass(frozen=True)
class Row:
    """A kind of net with its first weights."""

    name: str
    kind: Callable[[], nn.RNNBase]
    begin: Callable[[nn.RNNBase, int], object] = lambda rnn, length: None


ROWS = (
    Row("tanh RNN", lambda: nn.RNN(2, HIDDEN)),
    Row("ReLU RNN", lambda: nn.RNN(2, HIDDEN, nonlinearity="relu")),
    Row("IRNN", lambda: nn.RNN(2, HIDDEN, nonlinearity="relu"), lambda rnn, length: init.identity_recurrent_(rnn)),
    Row("LSTM", lambda: nn.LSTM(2, HIDDEN)),
    Row("LSTM, chrono", lambda: nn.LSTM(2, HIDDEN), lambda rnn, length: init.chrono_(rnn, length)),
)


def sequences(length: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (length, count, 2), number and mark, and sums (count,)."""
    numbers = torch.rand(length, count, generator=generator)
    half = length // 2
    first = torch.randint(half, (count,), generator=generator)
    second = half + torch.randint(length - half, (count,), generator=generator)
    rows = torch.arange(count)
    marks = torch.zeros(length, count)
    marks[first, rows] = marks[second, rows] = 1.0
    return torch.stack([numbers, marks], 2), numbers[first, rows] + numbers[second, rows]


class Net(nn.Module):
    """A recurrent layer, and a sum from its last state."""

    def __init__(self, row: Row, length: int) -> None:
        super().__init__()
        self.rnn, self.head = row.kind(), nn.Linear(HIDDEN, 1)
        row.begin(self.rnn, length)

    def forward(self, x: Tensor) -> Tensor:
        """Of (length, count, 2): (count,)."""
        return self.head(self.rnn(x)[0][-1]).squeeze(1)


@dataclass
class Run:
    """How one training ended: after how many updates it had solved it (None: never), and its error at the end."""

    solved: int | None
    error: float


def train(row: Row, rate: float, seed: int, length: int, updates: int) -> Run:
    """One training; it ends when it has solved the task."""
    torch.manual_seed(seed)
    net = Net(row, length)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    stream, fresh = (torch.Generator().manual_seed(start + seed) for start in (1_000, 1_000_000))
    error = math.inf
    for done in range(1, updates + 1):
        x, y = sequences(length, BATCH, stream)
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if done % CHECK == 0 or done == updates:
            with torch.no_grad():
                x, y = sequences(length, FRESH, fresh)
                error = nn.functional.mse_loss(net(x), y).item()
            if error < SOLVED:
                return Run(done, error)
            if not math.isfinite(error):
                break
    return Run(None, error)


def main() -> None:
    """Train, print the table."""
    script = Script(__doc__ or "", seeds=5)
    script.parser.add_argument("--updates", type=int, help=f"the budget of a run (default: {UPDATES})")
    script.parser.add_argument("--length", type=int, help=f"steps of a sequence (default: {LENGTH})")
    options = script.parse()
    length = options.length or (20 if options.quick else LENGTH)
    updates = options.updates or (100 if options.quick else UPDATES)
    if length < 2 or updates < 1:
        script.parser.error(f"length {length}, updates {updates}: expected at least 2 and 1")
    table = script.table(
        f"Adding problem of {length} steps, within {updates} updates, {options.seeds} seeds; "
        f"chance is {CHANCE:.4f}, solved is {SOLVED:.4f}",
        *("net", "best rate", "solved", "95 % interval", "updates it took, median", "error at the end, median"),
    )
    rows = []
    with script.progress(len(ROWS) * len(RATES) * options.seeds) as bar:
        for row in ROWS:
            runs: dict[float, list[Run]] = {}
            for rate in RATES:
                for seed in range(options.seeds):
                    bar(1, f"{row.name}, rate {rate:g}, seed {seed}")
                    runs.setdefault(rate, []).append(train(row, rate, seed, length, updates))
            best = min(RATES, key=lambda rate: (-_solved(runs[rate]), median(_errors(runs[rate]))))
            solved = _solved(runs[best])
            low, high = wilson(solved, options.seeds)
            took = sorted(run.solved for run in runs[best] if run.solved is not None)
            table.add_row(
                row.name,
                *(f"{best:g}", f"{solved}/{options.seeds}", f"{100 * low:.0f} to {100 * high:.0f} %"),
                *(f"{median(took):.0f}" if took else "-", f"{median(_errors(runs[best])):.4f}"),
            )
            rows.append(
                {
                    "name": row.name,
                    "rate": best,
                    "solved": [run.solved for run in runs[best]],
                    "errors": _errors(runs[best]),
                    "interval": [low, high],
                }
            )
    script.console.print(table)
    script.console.print(PAPER)
    script.finish(length=length, updates=updates, rows=rows)


def _solved(runs: list[Run]) -> int:
    return sum(run.solved is not None for run in runs)


def _errors(runs: list[Run]) -> list[float]:
    return [run.error if math.isfinite(run.error) else math.inf for run in runs]


if __name__ == "__main__":
    main()
