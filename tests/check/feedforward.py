"""Layers one after another: classifiers and regressors on tables, deep and shallow."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import Fill, MakeOptimizer, adam, constant, fill, he, layers, normal, of, scaled, sgd


def stack(widths: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Linear layers with an activation after each but the last."""
    hidden: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths[:-1]):
        hidden += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*hidden, nn.Linear(*widths[-2:]))


def classifier(
    depth: int = 4,
    width: int = 64,
    activation: Callable[[], nn.Module] = nn.ReLU,
    init: Fill | None = None,
    bias: float | None = None,
    optimizer: MakeOptimizer = None,
) -> Problem:
    """An MLP with torch's own initialisation, or with every weight passed to `init` and every hidden bias a constant."""
    torch.manual_seed(0)
    model = stack([20, *[width] * depth, 3], activation)
    fill(layers(model), init)
    if bias is not None:
        for layer in list(layers(model))[:-1]:
            nn.init.constant_(layer.bias, bias)
    return model, data.table(128, 20, 3), nn.CrossEntropyLoss(), of(model, optimizer)


def regressor(
    depth: int = 2,
    activation: Callable[[], nn.Module] = nn.Tanh,
    loss_fn: Callable[..., Tensor] | None = None,
    target_scale: float = 1.0,
    target_mean: float = 0.0,
    optimizer: MakeOptimizer = None,
) -> Problem:
    torch.manual_seed(1)
    model = stack([10, *[48] * depth, 1], activation)
    x, y = data.scores(256, 10)
    return model, (x, target_mean + target_scale * y), loss_fn or nn.MSELoss(), of(model, optimizer)


class Matrices(nn.Module):
    """Bare parameters in place of layers."""

    def __init__(self, scale: bool) -> None:
        super().__init__()
        sizes = [16, 100, 100, 100, 4]
        self.weights = nn.ParameterList(
            torch.randn(a, b) * ((2 / a) ** 0.5 if scale else 1.0) for a, b in pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(b) for b in sizes[1:])

    def forward(self, x: Tensor) -> Tensor:
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight + bias
            if number < 3:
                x = F.relu(x)
        return x


def matrices(scale: bool = True) -> Problem:
    torch.manual_seed(2)
    return Matrices(scale), data.table(100, 16, 4), F.cross_entropy, None


class ResidualBlock(nn.Module):
    def __init__(self, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.norm = norm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


def residual_mlp(
    blocks: int = 12, norm: Callable[[int], nn.Module] = nn.RMSNorm, init: bool = False, shrink: float = 1.0
) -> Problem:
    """Residual blocks; `init` makes their weights He's, and `shrink` multiplies those at the end of each."""
    torch.manual_seed(3)
    body = [ResidualBlock(32, norm) for _ in range(blocks)]
    if init:
        for block in body:
            he(block.up.weight)
            he(block.down.weight)
            with torch.no_grad():
                block.down.weight.mul_(shrink)
    model = nn.Sequential(nn.Linear(12, 32), *body, nn.Linear(32, 5))
    return model, data.table(96, 12, 5), nn.CrossEntropyLoss(), torch.optim.AdamW(model.parameters(), lr=1e-3)


def no_norm(width: int) -> nn.Module:
    return nn.Identity()


def batch_norm_chain(depth: int) -> Problem:
    """Linear, BatchNorm, ReLU, over and over: each layer keeps the signal and multiplies the gradient by about 1.2."""
    torch.manual_seed(4)
    body: list[nn.Module] = []
    for _ in range(depth):
        body += [nn.Linear(40, 40), nn.BatchNorm1d(40), nn.ReLU()]
    model = nn.Sequential(*body, nn.Linear(40, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return model, data.table(64, 40, 3), nn.CrossEntropyLoss(), optimizer


class Gated(nn.Module):
    """SwiGLU blocks with nothing that normalises."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Linear(32, 128) for _ in range(6))
        self.outer = nn.ModuleList(nn.Linear(64, 32) for _ in range(6))
        self.head = nn.Linear(32, 4)
        for layer in [*self.inner, *self.outer]:
            nn.init.xavier_uniform_(layer.weight, gain=gain)

    def forward(self, x: Tensor) -> Tensor:
        for inner, outer in zip(self.inner, self.outer, strict=True):
            value, gate = inner(x).chunk(2, dim=-1)
            x = x + outer(value * F.silu(gate))
        return self.head(x)


def gated(gain: float = 0.7) -> Problem:
    torch.manual_seed(5)
    return Gated(gain), data.table(128, 32, 4), F.cross_entropy, None


def self_normalising() -> Problem:
    torch.manual_seed(6)
    model = nn.Sequential(stack([30, *[50] * 10, 50], nn.SELU), nn.SELU(), nn.AlphaDropout(0.05), nn.Linear(50, 2))
    fill(layers(model), lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="linear"))
    return model, data.table(200, 30, 2), nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.01)


def binary(rare: bool = False) -> Problem:
    """One logit, for a class as common as the other, or for one of a few in a hundred."""
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(8, 16), nn.Sigmoid(), nn.Linear(16, 1), nn.Flatten(0))
    x, y = data.scores(400, 8)
    y = (y[:, 0] > (0.98 if rare else 0.0)).float()
    loss_fn = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(10.0) if rare else None)
    return model, (x, y), loss_fn, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def sparse_one_hot() -> Problem:
    torch.manual_seed(8)
    ids = torch.randint(0, 150, (64, 3))
    x = F.one_hot(ids, 150).flatten(1).float()
    model = nn.Sequential(nn.Linear(450, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 2))
    return model, (x, (ids[:, 0] > 75).long()), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=1e-3)


def counts() -> Problem:
    """Counts to 5 as inputs, counts as targets."""
    torch.manual_seed(9)
    x = torch.randint(0, 6, (128, 12)).float()
    y = torch.poisson(torch.exp(0.1 * x[:, :4].sum(dim=1, keepdim=True) - 0.5))
    model = stack([12, 32, 32, 1], nn.ReLU)
    return model, (x, y), nn.PoissonNLLLoss(), torch.optim.Adam(model.parameters(), lr=3e-3)


def critic() -> Problem:
    torch.manual_seed(10)
    first, second, last = (spectral_norm(nn.Linear(a, b)) for a, b in ((10, 64), (64, 64), (64, 1)))
    model = nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), last)
    x, y = data.scores(100, 10)

    def hinge(output: Tensor, target: Tensor) -> Tensor:
        return F.relu(1 - output * target.sign()).mean()

    return model, (x, y), hinge, torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.5, 0.9))


class LowRank(nn.Module):
    """A frozen layer plus B A, with B zero at the start."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Parameter(torch.randn(4, layer.in_features) * layer.in_features**-0.5)
        self.b = nn.Parameter(torch.zeros(layer.out_features, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.a.T @ self.b.T


def low_rank() -> Problem:
    torch.manual_seed(11)
    model = nn.Sequential(
        LowRank(nn.Linear(20, 64)), nn.ReLU(), LowRank(nn.Linear(64, 64)), nn.ReLU(), nn.Linear(64, 3)
    )
    return model, data.table(64, 20, 3), nn.CrossEntropyLoss(), of(model, adam(5e-3))


def two_rates() -> Problem:
    """Parameter groups: the body slowly, the head fast, biases without decay."""
    torch.manual_seed(15)
    model = nn.Sequential(stack([20, 64, 64], nn.ReLU), nn.ReLU(), nn.Linear(64, 3))
    groups = [
        {"params": [p for p in model[0].parameters() if p.ndim == 2], "lr": 1e-4, "weight_decay": 0.05},
        {"params": [p for p in model[0].parameters() if p.ndim == 1], "lr": 1e-4, "weight_decay": 0.0},
        {"params": model[2].parameters(), "lr": 1e-2},
    ]
    return model, data.table(128, 20, 3), nn.CrossEntropyLoss(), torch.optim.RAdam(groups)


def frozen_backbone() -> Problem:
    torch.manual_seed(12)
    backbone = stack([20, 128, 128, 64], nn.ReLU).requires_grad_(False).eval()
    model = nn.ModuleDict({"backbone": backbone, "head": nn.Linear(64, 3)})

    def loss_fn(model: nn.ModuleDict, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        with torch.no_grad():
            x = model["backbone"](x)
        return F.cross_entropy(model["head"](x), y, label_smoothing=0.1)

    return model, data.table(128, 20, 3), loss_fn, torch.optim.SGD(model["head"].parameters(), lr=0.1, momentum=0.9)


def regression_line(lr: float = 0.1, momentum: float = 0.0) -> Problem:
    """One linear layer, targets of size 3 about 3. The sharpness is known: momentum of 0.9 bears nearly twice the rate."""
    torch.manual_seed(13)
    x, y = data.scores(200, 20)
    model = nn.Linear(20, 1)
    return model, (x, 3 + 3 * y), nn.MSELoss(), torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)


def saturated_output(bias: float = 0.0) -> Problem:
    """Probabilities by a sigmoid, compared by their squared error."""
    torch.manual_seed(14)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
    nn.init.constant_(model[2].bias, bias)
    x, y = data.scores(128, 10)
    return model, (x, (y > 0).float()), F.mse_loss, torch.optim.Adam(model.parameters(), lr=3e-3)


FAULTY = (
    faulty("mlp-weights-of-1", "init-gain", classifier, init=he, fault={"init": nn.init.normal_}),
    faulty(
        "mlp-xavier-gain-5",
        "init-gain",
        classifier,
        depth=5,
        activation=nn.GELU,
        init=nn.init.xavier_normal_,
        fault={"init": lambda weight: nn.init.xavier_normal_(weight, gain=5)},
    ),
    faulty("mlp-20-layers-doubled", "init-gain", classifier, depth=20, init=he, fault={"init": scaled(he, 1.7)}),
    faulty("mlp-bare-randn", "init-gain", matrices, fault={"scale": False}),
    faulty(
        "mlp-60-residual-blocks",
        "init-gain",
        residual_mlp,
        blocks=60,
        norm=no_norm,
        init=True,
        shrink=0.1,
        fault={"shrink": 1.0},
    ),
    faulty("mlp-60-batch-norms", "init-gain", batch_norm_chain, depth=6, fault={"depth": 60}),
    faulty("swiglu-gain-3", "init-gain", gated, fault={"gain": 3.0}),
    faulty(
        "mlp-12-sigmoids",
        "vanishing-depth",
        classifier,
        depth=12,
        activation=nn.ReLU,
        init=he,
        optimizer=adam(),
        fault={"activation": nn.Sigmoid, "init": None},
    ),
    faulty(
        "mlp-30-tanh-default",
        "vanishing-depth",
        classifier,
        depth=30,
        activation=nn.Tanh,
        init=nn.init.orthogonal_,
        fault={"init": None},
    ),
    faulty("mlp-40-relu-default", "vanishing-depth", classifier, depth=40, init=he, fault={"init": None}),
    faulty("mlp-weights-of-0.01", "vanishing-depth", classifier, depth=10, init=he, fault={"init": normal(0.01)}),
    faulty(
        "mlp-constant-weights", "symmetric-init", classifier, depth=2, width=32, init=he, fault={"init": constant(0.05)}
    ),
    faulty("mlp-all-zeros", "symmetric-init", classifier, depth=3, init=he, fault={"init": nn.init.zeros_}),
    faulty("mlp-bias-minus-10", "dead-units", classifier, depth=3, fault={"bias": -10.0}),
    faulty(
        "mlp-negative-weights",
        "dead-units",
        classifier,
        depth=3,
        init=he,
        fault={"init": lambda weight: nn.init.uniform_(weight, -1.0, 0.0)},
    ),
    faulty(
        "mlp-tanh-weights-of-2",
        ("saturation", "init-gain"),
        classifier,
        width=128,
        activation=nn.Tanh,
        init=nn.init.xavier_normal_,
        fault={"init": normal(2.0)},
    ),
    faulty("sigmoid-output-pinned", "saturation", saturated_output, fault={"bias": -25.0}),
    faulty("regression-sgd-5", "learning-rate", regressor, optimizer=sgd(0.1), fault={"optimizer": sgd(5.0)}),
    faulty("linear-sgd-1", "learning-rate", regression_line, fault={"lr": 1.0}),
    faulty("mlp-adam-1", "learning-rate", classifier, optimizer=adam(), fault={"optimizer": adam(1.0)}),
    faulty(
        "regression-summed",
        "loss-scale",
        regressor,
        activation=nn.ReLU,
        optimizer=sgd(0.05),
        fault={"loss_fn": nn.MSELoss(reduction="sum")},
    ),
    faulty(
        "house-prices-adam", "loss-scale", regressor, optimizer=adam(), fault={"target_scale": 8e4, "target_mean": 2e5}
    ),
    faulty(
        "targets-of-1e4-sgd",
        "loss-scale",
        regressor,
        activation=nn.ReLU,
        optimizer=sgd(0.01),
        fault={"target_scale": 1e4},
    ),
)

SOUND = (
    sound("mlp-relu-5", classifier, depth=5, optimizer=adam()),
    sound("mlp-tanh-regression", regressor, optimizer=sgd(0.05)),
    sound("mlp-gelu-no-optimizer", classifier, depth=3, activation=nn.GELU),
    sound("mlp-he-10", classifier, depth=10, init=he, optimizer=sgd(0.01, 0.9)),
    sound(
        "mlp-orthogonal-tanh-20", classifier, depth=20, activation=nn.Tanh, init=nn.init.orthogonal_, optimizer=adam()
    ),
    sound("mlp-bare-matrices", matrices),
    sound("mlp-residual-rms", residual_mlp),
    sound("mlp-batch-norm-6", batch_norm_chain, depth=6),
    sound("swiglu", gated),
    sound("mlp-selu", self_normalising),
    sound("mlp-one-logit", binary),
    sound("mlp-one-logit-rare", binary, rare=True),
    sound("mlp-sparse-one-hot", sparse_one_hot),
    sound("mlp-counts", counts),
    sound("critic-spectral-norm", critic),
    sound("lora-zero-b", low_rank),
    sound("frozen-backbone", frozen_backbone),
    sound("linear-regression", regression_line),
    sound("linear-momentum-0.7", regression_line, lr=0.7, momentum=0.9),
    sound("mlp-two-rates", two_rates),
    sound(
        "regression-huber",
        regressor,
        activation=nn.ReLU,
        loss_fn=nn.SmoothL1Loss(),
        target_scale=3.0,
        optimizer=adam(3e-3),
    ),
)
