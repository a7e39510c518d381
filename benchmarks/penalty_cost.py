"""What each penalty adds to a training step, side by side: `python benchmarks/penalty_cost.py`."""

import statistics
import time

import torch
from torch import nn

from steadygrad import penalty

ROUNDS = 15


def transformer():
    """A transformer of 4 layers, d = 256, on 16 sequences of 64: 3.2 M parameters."""
    layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Linear(256, 1000))
    inputs, targets = torch.randn(16, 64, 256), torch.randint(0, 1000, (16 * 64,))

    def loss_of(term):
        logits = model(inputs).flatten(0, 1)
        return nn.functional.cross_entropy(logits, targets) + (0 if term is None else term(logits))

    terms = {
        "l1": lambda logits: penalty.l1(model),
        "l2": lambda logits: penalty.l2(model),
        "orthogonality, soft": lambda logits: penalty.orthogonality(model),
        "orthogonality, srip": lambda logits: penalty.orthogonality(model, "srip"),
        "spectral": lambda logits: penalty.spectral(model),
        "z-loss": penalty.z_loss,
    }
    return model, loss_of, terms


def recurrent():
    """An nn.RNN of 50 units on 20 sequences of 50 steps, the task of Pascanu et al."""
    rnn, head = nn.RNN(6, 50), nn.Linear(50, 4)
    model = nn.ModuleList([rnn, head])
    inputs, targets = torch.randn(50, 20, 6), torch.randint(0, 4, (20,))

    def loss_of(term):
        output, _ = rnn(inputs)
        loss = nn.functional.cross_entropy(head(output[-1]), targets)
        return loss + (0 if term is None else term(output, loss))

    terms = {
        "Omega": lambda output, loss: penalty.pascanu_omega(rnn, output, loss),
        "flossing, k = 1, 4 samples": lambda output, loss: penalty.gradient_flossing(rnn, inputs[:, :4], k=1),
        "flossing, k = 16, 4 samples": lambda output, loss: penalty.gradient_flossing(rnn, inputs[:, :4], k=16),
    }
    return model, loss_of, terms


def main():
    for make in (transformer, recurrent):
        torch.manual_seed(0)
        model, loss_of, terms = make()
        cases = {"none": None, **terms}
        seconds = {name: [] for name in cases}
        for _ in range(ROUNDS + 2):
            for name, term in cases.items():
                start = time.perf_counter()
                model.zero_grad()
                loss_of(term).backward()
                seconds[name].append(time.perf_counter() - start)
        median = {name: statistics.median(taken[2:]) for name, taken in seconds.items()}
        print(f"{make.__doc__} Forward and backward: {1e3 * median['none']:.1f} ms")
        for name in terms:
            print(
                f"  {name:28} + {1e3 * (median[name] - median['none']):7.2f} ms, x {median[name] / median['none']:.2f}"
            )


if __name__ == "__main__":
    main()
