"""How far back an RNN learns: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
2013 (Section 4.1, Figure 7).

    python benchmarks/papers/temporal_order.py
    python benchmarks/papers/temporal_order.py --lengths 50 --updates 50000

The temporal order task: an A or a B at a random place in the second tenth of a sequence, another in the sixth tenth,
four kinds of distractors elsewhere; after the last symbol the net says which of AA, AB, BA and BB it was. A tanh RNN of
50 units, batches of 20, learning rate 0.01, 15 inputs a unit and spectral radius 0.95 at the start ("smart tanh"):

    SGD       nothing
    SGD-C     all gradients together are clipped to a norm of 1
    SGD-CR    clipped, and Omega, 2.0 times, which holds the gradient's norm from step to step; Omega as in the authors'
              code (the ratio of squared norms, immediate derivative)

A run has solved the task when, at a check every 500 updates, it errs on fewer than 1 % of 2,000 fresh sequences. The
three methods of a seed have the same first weights and the same sequences. All runs of a length are trained at once
(`stacked_rnn.py`); a run that has solved the task, or is no longer finite, leaves.

The paper gives every run up to 5,000,000 updates; here the budget is `--updates`. It is counted in updates, not in
seconds, so a busy machine changes nothing but the time. A run that fails here has failed within this budget and no
more is said. The interval of a success rate is Wilson's, 95 %.
"""

import math
from statistics import median

import torch
from intervals import wilson
from script import Script
from stacked_rnn import StackedRNN, smart_tanh
from torch import Tensor

LENGTHS = (10, 20, 30, 50)
UPDATES = 60_000
METHODS = {"SGD": (math.inf, 0.0), "SGD-C": (1.0, 0.0), "SGD-CR": (1.0, 2.0)}
"""Clip and Omega."""

HIDDEN, BATCH, LR = 50, 20, 0.01
SYMBOLS, CLASSES = 6, 4
CHECK, FRESH = 500, 2_000
SOLVED = 0.01

PAPER = (
    "In the paper (Figure 7; 5,000,000 updates) the rates of SGD and SGD-C fall to 0 as sequences grow longer, "
    "while SGD-CR solves all up to T = 200."
)


def sequences(length: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens (count, length) and classes (count,) of the temporal order task."""
    tenth = length // 10
    tokens = torch.randint(2, SYMBOLS, (count, length), generator=generator)
    first, second = (torch.randint(tenth, (count,), generator=generator) for _ in range(2))
    symbols = torch.randint(2, (count, 2), generator=generator)
    rows = torch.arange(count)
    tokens[rows, first + tenth], tokens[rows, second + 5 * tenth] = symbols[:, 0], symbols[:, 1]
    return tokens, symbols[:, 0] + 2 * symbols[:, 1]


class Field:
    """All runs of one length: which run is which seed and method, what they read, and when they solved it."""

    def __init__(self, length: int, seeds: int) -> None:
        self.length = length
        self.runs = [(method, seed) for method in METHODS for seed in range(seeds)]
        self.solved: dict[tuple[str, int], int] = {}
        weights = [smart_tanh(seed, HIDDEN, SYMBOLS, CLASSES) for _, seed in self.runs]
        self.nets = StackedRNN(
            *(torch.stack(part) for part in zip(*weights, strict=True)),
            lr=LR,
            max_norms=[METHODS[method][0] for method, _ in self.runs],
            omegas=[METHODS[method][1] for method, _ in self.runs],
        )
        self._train, self._fresh = (
            [torch.Generator().manual_seed(seed + start) for seed in range(seeds)] for start in (1_000, 1_000_000)
        )

    def train(self, updates: int) -> None:
        """So many updates of all runs that are left."""
        tokens, classes = self._read(self._train, updates, BATCH)
        for update in range(updates):
            self.nets.step(tokens[:, update], classes[:, update])

    def check(self, updates: int, fresh: int) -> None:
        """See who has solved it; they leave, and so does who is no longer finite."""
        tokens, classes = self._read(self._fresh, 1, fresh)
        logits = self.nets.logits(tokens[:, 0])
        errors = 1.0 - (logits.argmax(2) == classes[:, 0]).double().mean(1)
        finite = logits.isfinite().flatten(1).all(1)
        places = []
        for place, run in enumerate(self.runs):
            if not bool(finite[place]):
                continue
            if errors[place].item() < SOLVED:
                self.solved[run] = updates
            else:
                places.append(place)
        self.nets.keep(places)
        self.runs = [self.runs[place] for place in places]

    def _read(self, generators: list[torch.Generator], batches: int, size: int) -> tuple[Tensor, Tensor]:
        """Tokens (runs, batches, time, size) and classes (runs, batches, size), alike for all runs of a seed."""
        made = {}
        for seed in sorted({seed for _, seed in self.runs}):
            tokens, classes = sequences(self.length, batches * size, generators[seed])
            made[seed] = tokens.view(batches, size, -1).transpose(1, 2), classes.view(batches, size)
        tokens, classes = (torch.stack([made[seed][part] for _, seed in self.runs]) for part in (0, 1))
        return tokens, classes


def main() -> None:
    """Train, print the table."""
    script = Script(__doc__ or "", seeds=10)
    script.parser.add_argument("--updates", type=int, help=f"the budget of a run (default: {UPDATES})")
    script.parser.add_argument("--lengths", type=int, nargs="+", help=f"sequence lengths, tens (default: {LENGTHS})")
    options = script.parse()
    lengths = options.lengths or ((10, 20) if options.quick else LENGTHS)
    updates = options.updates or (200 if options.quick else UPDATES)
    check, fresh = (100, 200) if options.quick else (CHECK, FRESH)
    if any(length % 10 or length < 10 for length in lengths):
        script.parser.error(f"lengths are {lengths}, expected multiples of 10")
    fields = {}
    with script.progress(sum(lengths) * updates) as bar:
        for length in lengths:
            field = fields[length] = Field(length, options.seeds)
            for done in range(check, updates + 1, check):
                if field.runs:
                    field.train(check)
                    field.check(done, fresh)
                bar(length * check, f"T = {length}, update {done}, {len(field.runs)} runs left")
    table = script.table(
        f"Temporal order solved (< 1 % errors) within {updates} updates, {options.seeds} seeds", "T", *METHODS
    )
    rows = []
    for length, field in fields.items():
        cells = []
        for method in METHODS:
            took = sorted(updates for (name, _), updates in field.solved.items() if name == method)
            low, high = wilson(len(took), options.seeds)
            times = f"after {median(took):.0f} updates ({took[0]} to {took[-1]})" if took else "-"
            cells.append(f"{len(took)}/{options.seeds}, {100 * low:.0f} to {100 * high:.0f} %\n{times}")
            rows.append({"length": length, "method": method, "solved": took, "interval": [low, high]})
        table.add_row(f"{length}", *cells)
    script.console.print(table)
    script.console.print(PAPER)
    script.finish(updates=updates, rows=rows)


if __name__ == "__main__":
    main()
