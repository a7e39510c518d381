"""The gradient grows by chi1 at each layer: Schoenholz et al., "Deep information propagation", 2017 (Figures 4 and 5).

    python benchmarks/papers/chi1.py

A tanh net of 40 layers of 512 units with random weights, five variances of the weights (times the fan-in) and a
variance of the biases of 0.05. Its inputs have the variance that deep layers settle at. The squared gradient of every
weight matrix is averaged over independent inputs and random directions at the output; the growth is the slope of its
logarithm over the layers, without the first four and the last four. The theory is that of
`steadygrad.measure.mean_field`, by quadrature; nothing is fitted. Growth is per layer on the way back.

A seed is a net. The interval is a bootstrap over the nets (95 %). Target: the mean within 2 % of the theory.
"""

import math

import torch
from intervals import bootstrap
from script import Script
from torch import Tensor, nn

from steadygrad.measure import mean_field

BIAS_VARIANCE = 0.05
WEIGHT_VARIANCES = (0.8, 1.0, 1.5, 2.0, 2.5)
INPUTS = 32
"""Inputs, each with its own direction at the output."""

ENDS = 4
"""Layers at either end that are left out: the net has to settle."""

BOUND = 0.02


class DeepTanh(nn.Module):
    """`layers` times tanh and Linear; keeps what each Linear puts out."""

    def __init__(self, width: int, layers: int, weight_variance: float, bias_variance: float) -> None:
        super().__init__()
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        for layer in self.body:
            nn.init.normal_(layer.weight, std=math.sqrt(weight_variance / width))
            nn.init.normal_(layer.bias, std=math.sqrt(bias_variance))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Of (batch, width): the pre-activations of all layers."""
        outputs = []
        for layer in self.body:
            x = layer(x.tanh())
            outputs.append(x)
        return outputs


def growth(seed: int, weight_variance: float, q: float, width: int, layers: int) -> float:
    """The measured growth of the mean squared gradient per layer of one net."""
    torch.manual_seed(seed)
    model = DeepTanh(width, layers, weight_variance, BIAS_VARIANCE)
    outputs = model(math.sqrt(q) * torch.randn(INPUTS, width))
    deltas = torch.autograd.grad((outputs[-1] * torch.randn(INPUTS, width)).sum(), outputs)
    # One input's gradient of a weight matrix is the outer product of delta and activation: its norm is their product.
    squares = torch.stack(
        [
            (delta.square().sum(1) * before.detach().tanh().square().sum(1)).mean()
            for delta, before in zip(deltas[1:], outputs[:-1], strict=True)
        ]
    )
    kept = squares.double().log()[ENDS:-ENDS]
    depth = torch.arange(len(kept), dtype=torch.float64)
    depth -= depth.mean()
    return math.exp(-(depth @ kept / depth.square().sum()).item())


def main() -> None:
    """Measure and print."""
    script = Script(__doc__ or "", seeds=10, quick_seeds=3)
    options = script.parse()
    width, layers = (256, 20) if options.quick else (512, 40)
    table = script.table(
        f"Growth of the squared gradient per layer, tanh, N = {width}, {layers} layers, {options.seeds} nets",
        *("weight variance", "q*", "chi1 (theory)", "measured", "95 % interval", "off by", "within 2 %"),
    )
    rows = []
    with script.progress(len(WEIGHT_VARIANCES) * options.seeds) as bar:
        for weight_variance in WEIGHT_VARIANCES:
            theory = mean_field(torch.tanh, weight_variance, BIAS_VARIANCE)
            found = []
            for seed in range(options.seeds):
                bar(1, f"weight variance {weight_variance}")
                found.append(growth(seed, weight_variance, theory.q, width, layers))
            mean, (low, high) = sum(found) / len(found), bootstrap(found)
            off = mean / theory.chi1 - 1
            verdict = "ok" if abs(off) <= BOUND else "missed"
            table.add_row(
                f"{weight_variance}",
                *(f"{theory.q:.3f}", f"{theory.chi1:.4f}", f"{mean:.4f}", f"{low:.4f} to {high:.4f}"),
                *(f"{100 * off:+.2f} %", f"[{'green' if verdict == 'ok' else 'red'}]{verdict}[/]"),
            )
            rows.append(
                {
                    "weight_variance": weight_variance,
                    "q": theory.q,
                    "chi1": theory.chi1,
                    "measured": mean,
                    "interval": [low, high],
                    "each": found,
                    "off": off,
                    "verdict": verdict,
                }
            )
    script.console.print(table)
    script.finish(rows=rows)


if __name__ == "__main__":
    main()
