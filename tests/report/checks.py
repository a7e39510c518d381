"""Results of real checks, and of checks as bad as they can be."""

import math
from dataclasses import replace
from functools import cache

import torch
from torch import nn

import steadygrad as sg
from steadygrad.findings import CheckResult, Finding, Measurement

HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(2)">',
    "</title><b>bold",
    "${alert(3)} @name{custom} &amp; \"'",
    "half \ud83d name",
)


def mlp(depth, gain=1.0, width=32):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.normal_(linear.weight, std=gain * math.sqrt(2 / width))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 5))


def checked(model, inputs, classes):
    target = torch.randint(classes, (len(inputs),))
    return sg.check(model, (inputs, target), nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.01))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 16, 2, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


@cache
def sound():
    torch.manual_seed(0)
    return checked(mlp(4), torch.randn(32, 32), 5)


@cache
def exploding():
    torch.manual_seed(0)
    return checked(mlp(20, 1.6), torch.randn(32, 32), 5)


@cache
def recurrent():
    torch.manual_seed(0)
    return checked(Recurrent(), torch.randn(8, 30, 8), 3)


@cache
def overflowing():
    """The signal is infinite half way up, and all gradients are NaN."""
    torch.manual_seed(0)
    return checked(mlp(60, 100.0), torch.randn(32, 32), 5)


@cache
def single():
    torch.manual_seed(0)
    return checked(nn.Linear(8, 3), torch.randn(16, 8), 3)


def empty():
    return CheckResult("nothing", 0, (), (), (), {}, {}, 0.0)


def holed():
    """Every kind of number in every kind of place."""
    made = exploding()
    odd = (math.nan, math.inf, -math.inf, 0.0, 1e-300, 1e300, None, -1.0)
    layers = tuple(
        replace(layer, output_rms=1.0 if odd[i % 8] is None else odd[i % 8], grad_rms=odd[(i + 1) % 8], gain=odd[i % 8])
        for i, layer in enumerate(made.layers)
    )
    measurements = tuple(Measurement("odd", "there", math.nan if v is None else v, "none", "", True) for v in odd)
    curve = tuple(1.0 if value is None else value for value in odd)
    finding = Finding("init-gain", math.nan, "0", "", {"losses": [1.0, math.nan], "steps": 12345, "none": None})
    return replace(
        made,
        layers=layers,
        measurements=measurements,
        findings=(finding,),
        time_gradients={"": curve, "b": (), "c": (1.0,)},
    )


def hostile():
    made = exploding()
    names = HOSTILE * 5
    first = HOSTILE[0]
    layers = tuple(replace(layer, name=names[i], kind=names[i + 1]) for i, layer in enumerate(made.layers))
    return replace(
        made,
        target=HOSTILE[2],
        layers=layers,
        findings=tuple(Finding(name, 0.5, name, name, {name: name}, (name,)) for name in HOSTILE),
        measurements=tuple(Measurement(name, name, 1.0, name, name, True) for name in HOSTILE),
        time_gradients=dict.fromkeys(HOSTILE, (1.0, 2.0, 3.0)),
        skipped={first: first},
    )


def deep(depth):
    """Layers enough that none of them can be named on an axis."""
    made = exploding()
    layers = tuple(
        replace(made.layers[0], name=f"blocks.{i}.fc", depth=i + 1, output_rms=1.02**i, grad_rms=0.98**i)
        for i in range(depth)
    )
    return replace(made, layers=layers)


KINDS = {
    "sound": sound,
    "exploding": exploding,
    "recurrent": recurrent,
    "overflowing": overflowing,
    "single": single,
    "empty": empty,
    "holed": holed,
    "hostile": hostile,
    "deep": lambda: deep(2_000),
}
