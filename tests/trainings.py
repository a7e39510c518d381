"""Small real trainings that the tests share: an architecture, an optimizer, a task, and optional faults in the data."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import steadygrad as sg

NOISE = 0.7
"""What no model can learn of the targets, as in most real data: their standard deviation about their mean."""


class Recurrent(nn.Module):
    """Reads a sequence and predicts the sum of its first feature."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn = kind(4, 16, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.embed(x)).mean(dim=1))


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 8, 3),
            nn.BatchNorm1d(8),
            nn.ReLU(inplace=True),
            nn.Conv1d(8, 8, 3),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x.transpose(1, 2)).mean(dim=2))


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: nn.Sequential(nn.Flatten(), nn.Linear(40, 32), nn.Tanh(), nn.Dropout(0.1), nn.Linear(32, 1)),
    "rnn": lambda: Recurrent(nn.RNN),
    "lstm": lambda: Recurrent(nn.LSTM),
    "transformer": Transformer,
    "conv": Conv,
}

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd-momentum": lambda params: torch.optim.SGD(params, lr=0.02, momentum=0.9),
    "adam": lambda params: torch.optim.Adam(params, lr=3e-3),
    "fused-adamw": lambda params: torch.optim.AdamW(params, lr=3e-3, fused=True),
    "lbfgs": lambda params: torch.optim.LBFGS(params, lr=0.1, max_iter=4),
}


@dataclass
class Result:
    """What a training left behind."""

    losses: list[float] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    rng: Tensor = field(default_factory=lambda: torch.zeros(0))
    validation: float = math.nan
    run: Any = None


def train(
    architecture: str,
    optimizer: str,
    *,
    steps: int = 30,
    faults: Mapping[int, float] | None = None,
    watched: bool = False,
    record: Any = False,
    seed: int = 0,
) -> Result:
    """Train; `faults` maps steps to factors on the loss (NaN, 1e6). With `watched`, under `sg.watch`."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[architecture]()
    if optimizer == "lbfgs":  # a line search wants one function: no dropout, one batch
        model.eval()
    stepper = OPTIMIZERS[optimizer](model.parameters())
    watch = sg.watch(model, stepper, record=record) if watched else None
    result = Result()
    x = torch.randn(32, 10, 4)
    for step in range(steps):
        if optimizer != "lbfgs":
            x = torch.randn(32, 10, 4)
        y = x[:, :, 0].sum(dim=1, keepdim=True) * 0.3 + (0.0 if optimizer == "lbfgs" else NOISE) * torch.randn(32, 1)
        factor = (faults or {}).get(step, 1.0)

        def closure(x: Tensor = x, y: Tensor = y, factor: float = factor) -> Tensor:
            stepper.zero_grad()
            loss = (model(x) - y).square().mean() * factor
            loss.backward()
            return loss

        if optimizer == "lbfgs":
            loss = stepper.step(closure)
        else:
            loss = closure()
            stepper.step()
        result.losses.append(float(loss.detach()))
    if watch is not None:
        watch.close()
        result.run = watch.run
    result.state = {name: value.clone() for name, value in model.state_dict().items()}
    result.rng = torch.get_rng_state()
    model.eval()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(2000, 10, 4, generator=generator)
        y = x[:, :, 0].sum(dim=1, keepdim=True) * 0.3 + NOISE * torch.randn(2000, 1, generator=generator)
        result.validation = float((model(x) - y).square().mean())
    return result


def identical(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    """Whether two states are equal to the last bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
