"""A plain net of 50 layers learns if each layer hands on unit variance: Mishkin and Matas, "All you need is a good
init", 2016.

    python benchmarks/papers/lsuv.py

50 layers of Linear and ReLU, 64 wide, no skip and no norm, learn to tell four classes of noisy prototypes apart: SGD
with momentum 0.9, batches of 64, 300 steps, each initialisation at the best of four rates for it (by its median loss).
The rows are the first weights and nothing else: torch's default, He, orthogonal, LSUV (orthogonal, then each layer
scaled to unit variance on one batch), and `init.auto_`.

A seed is a first set of weights and a stream of batches, the same in all rows; the loss is on held-out samples, the
interval a bootstrap over the seeds (95 %). `gain` is the signal's per layer before training, as `sg.check` measures it.

In the paper plain nets that do not start from Xavier's or He's weights learn with LSUV at all depths tried; it prints
accuracies of its nets on its data sets, no number for this one.
"""

import math
from collections.abc import Callable
from statistics import median

import torch
from intervals import bootstrap
from script import Script
from torch import Tensor, nn

import steadygrad as sg
from steadygrad import init

LAYERS, WIDTH, CLASSES, BATCH, STEPS = 50, 64, 4, 64, 300
RATES = (0.003, 0.01, 0.03, 0.1)


def orthogonal_(model: nn.Module, batch: Tensor) -> None:
    """Every weight orthogonal, every bias zero, nothing measured."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)


WAYS: dict[str, Callable[[nn.Module, Tensor], object]] = {
    "torch's default": lambda model, batch: None,
    "He": init.he_,
    "orthogonal": orthogonal_,
    "LSUV": init.lsuv_,
    "auto_": init.auto_,
}


def made(seed: int, way: str, layers: int) -> tuple[nn.Sequential, Callable[[int], tuple[Tensor, Tensor]]]:
    """A net with its first weights, and where its batches come from."""
    torch.manual_seed(seed)
    prototypes = torch.randn(CLASSES, WIDTH)
    stream = torch.Generator().manual_seed(seed)

    def batch(size: int) -> tuple[Tensor, Tensor]:
        target = torch.randint(CLASSES, (size,), generator=stream)
        return prototypes[target] + torch.randn(size, WIDTH, generator=stream), target

    body = [part for _ in range(layers - 1) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
    model = nn.Sequential(*body, nn.Linear(WIDTH, CLASSES))
    WAYS[way](model, batch(BATCH)[0])
    return model, batch


def trained(seed: int, way: str, rate: float, layers: int, steps: int) -> float:
    """The held-out loss at the end; infinite where it is not finite."""
    model, batch = made(seed, way, layers)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    for _ in range(steps):
        x, y = batch(BATCH)
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x, y = batch(512)
        loss = nn.functional.cross_entropy(model(x), y).item()
    return loss if math.isfinite(loss) else math.inf


def gain(seed: int, way: str, layers: int) -> float:
    """The signal's gain per layer before training."""
    model, batch = made(seed, way, layers)
    found = sg.check(model, batch(BATCH), nn.CrossEntropyLoss()).measurements
    return next(each.value for each in found if each.quantity == "signal gain per layer")


def main() -> None:
    """Measure and print."""
    script = Script(__doc__ or "", seeds=5)
    options = script.parse()
    layers, steps = (12, 40) if options.quick else (LAYERS, STEPS)
    table = script.table(
        f"Plain ReLU net of {layers} layers, {steps} steps, {options.seeds} seeds; chance is {math.log(CLASSES):.3f}",
        *("first weights", "gain per layer", "best rate", "held-out loss", "95 % interval", "below 0.1"),
    )
    rows = []
    with script.progress(len(WAYS) * len(RATES) * options.seeds) as bar:
        for way in WAYS:
            ends: dict[float, list[float]] = {}
            for rate in RATES:
                for seed in range(options.seeds):
                    bar(1, way)
                    ends.setdefault(rate, []).append(trained(seed, way, rate, layers, steps))
            best = min(RATES, key=lambda rate: median(ends[rate]))
            losses = ends[best]
            middle, (low, high) = median(losses), bootstrap(losses, median)
            learned = sum(loss < 0.1 for loss in losses)
            growth = gain(0, way, layers)
            table.add_row(
                way,
                *(f"{growth:.3f}", f"{best:g}", f"{middle:.3f}", f"{low:.3f} to {high:.3f}"),
                f"{learned}/{len(losses)}",
            )
            rows.append({"way": way, "gain": growth, "rate": best, "losses": losses, "interval": [low, high]})
    script.console.print(table)
    script.finish(rows=rows)


if __name__ == "__main__":
    main()
