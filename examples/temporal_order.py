"""The temporal order task of Pascanu, Mikolov and Bengio, 2013: which symbol came first, many time steps ago?

    python examples/temporal_order.py
    python examples/temporal_order.py --lengths 10 50 --optimizer adam --log-every 1

An A or a B stands somewhere in the second tenth of a sequence, another one in the sixth tenth, and distractors
everywhere else. After the last symbol a recurrent net has to say whether it was AA, AB, BA or BB. One net learns all
lengths. "On the difficulty of training recurrent neural networks" begins with a recurrent matrix of spectral radius
0.95. This script draws it from a standard normal distribution, as `nn.init.normal_` does if nobody tells it a width:
its radius is about the root of the number of units, here 7, and that factor acts at every time step. The first
gradient over 30 steps is ten million times as large as that of an orthogonal matrix.
"""

import argparse

import torch
from torch import nn

# Either teaches the net all lengths, once its recurrent matrix is orthogonal.
RATES = {"sgd": 0.03, "adam": 0.003}
SYMBOLS = 6  # A and B, which matter, and four distractors.
CLASSES = 4
FRESH = 1_000  # Sequences of each length that the trained net is asked.


class ElmanNet(nn.Module):
    """A tanh recurrent layer over one-hot symbols; a linear layer reads its last state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(SYMBOLS, hidden, nonlinearity="tanh", batch_first=True)
        self.decoder = nn.Linear(hidden, CLASSES)
        # Large weights, so that an early symbol is not forgotten on the way: so one thinks. They make the net chaotic,
        # and the gradient that gets back to that symbol huge. What remembers is an orthogonal matrix (orthogonal_).
        nn.init.normal_(self.rnn.weight_hh_l0)

    def forward(self, symbols):
        states, _ = self.rnn(nn.functional.one_hot(symbols, SYMBOLS).float())
        return self.decoder(states[:, -1])


def sequences(length: int, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Symbols (count, length), and the class of each sequence (count,)."""
    tenth = length // 10
    symbols = torch.randint(2, SYMBOLS, (count, length), generator=generator)
    first, second = (torch.randint(2, (count,), generator=generator) for _ in range(2))
    rows = torch.arange(count)
    symbols[rows, tenth + torch.randint(tenth, (count,), generator=generator)] = first
    symbols[rows, 5 * tenth + torch.randint(tenth, (count,), generator=generator)] = second
    return symbols, 2 * first + second


@torch.no_grad()
def success(model: nn.Module, length: int, generator: torch.Generator) -> float:
    """Share of sequences, drawn anew, that the net classifies right."""
    symbols, classes = sequences(length, FRESH, generator)
    return (model(symbols).argmax(1) == classes).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Teach an Elman net the temporal order task. State and gradient pass through the recurrent matrix "
        "at every time step, so its first weights decide whether anything can be learnt: here they are far too large."
    )
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--optimizer", choices=RATES, default="sgd")
    parser.add_argument("--lr", type=float, help=f"default: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 20, 30], help="multiples of ten")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=50)
    args = parser.parse_args()
    for length in args.lengths:
        if length < 10 or length % 10:
            parser.exit(2, f"temporal_order.py: --lengths {length}: expected multiples of 10, from 10 on\n")

    torch.manual_seed(args.seed)
    model = ElmanNet(args.hidden)
    lr = RATES[args.optimizer] if args.lr is None else args.lr
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[args.optimizer](model.parameters(), lr=lr)

    draws = torch.Generator().manual_seed(args.seed)
    for step in range(1, args.steps + 1):
        # All sequences of a batch have one length, the lengths take turns at random.
        length = args.lengths[int(torch.randint(len(args.lengths), (), generator=draws))]
        symbols, classes = sequences(length, args.batch, draws)
        loss = nn.functional.cross_entropy(model(symbols), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % args.log_every == 0 or step == args.steps:
            print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {lr:g}", flush=True)

    rates = {length: success(model, length, draws) for length in dict.fromkeys(args.lengths)}
    by_length = ", ".join(f"T={length} success {rate:.4f}" for length, rate in rates.items())
    mean = sum(rates.values()) / len(rates)
    print(f"result: {by_length}, success rate {mean:.4f}, chance {1 / CLASSES:.4f}")


if __name__ == "__main__":
    main()
