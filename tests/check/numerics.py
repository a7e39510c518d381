"""Fewer bits, and operations at the edge of their domain."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import MakeOptimizer, adam, of, sgd


class OwnNorm(nn.Module):
    """RMS norm in the precision of its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + 1e-6)


class SumPool(nn.Module):
    """Adds up what a set of items shows, and normalises the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.each, self.norm, self.out = nn.Linear(4, 32), OwnNorm(32), nn.Linear(32, 2)

    def forward(self, items: Tensor) -> Tensor:
        return self.out(self.norm(F.relu(self.each(items)).sum(dim=1)))


def sum_pool(dtype: torch.dtype = torch.float32) -> Problem:
    """The sums reach some hundreds: their squares do not fit into float16."""
    torch.manual_seed(160)
    label = torch.arange(32) % 2
    items = (torch.randn(32, 1500, 4) + 0.5 * label[:, None, None]).to(dtype)
    model = SumPool().to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    return model, (items, label), lambda output, target: F.cross_entropy(output.float(), target), optimizer


class SharpPairs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        first, second = F.normalize(self.embed(first), dim=1), F.normalize(self.embed(second), dim=1)
        return torch.exp(first @ second.T / 0.07)


def share_of_pair(similarity: Tensor, target: Tensor) -> Tensor:
    """InfoNCE as the formula has it: no logsumexp."""
    return -torch.log(similarity.diagonal() / similarity.sum(dim=1))[target].float().mean()


def sharp_pairs(dtype: torch.dtype = torch.float32) -> Problem:
    """Exponentials up to exp(14): float16 ends at exp(11)."""
    torch.manual_seed(161)
    first = torch.randn(32, 16)
    second = first + 0.1 * torch.randn(32, 16)
    model = SharpPairs().to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    return model, (first.to(dtype), second.to(dtype), torch.arange(32)), share_of_pair, optimizer


class Autocast(nn.Module):
    """Any model under autocast, as its own forward."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=self.dtype):
            return self.model(x).float()


def autocast(
    dtype: torch.dtype = torch.bfloat16, static_scale: float = 1.0, optimizer: MakeOptimizer = None
) -> Problem:
    """A small conv net; `static_scale` multiplies the loss, for the gradients of float16, and nothing divides again."""
    torch.manual_seed(162)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * 9, 4),
    )  # fmt: skip
    model = Autocast(net, dtype)
    x, y = data.standardised(32, 1, 12, 4)
    return model, (x, y), lambda output, target: static_scale * F.cross_entropy(output, target), of(model, optimizer)


def low_precision(dtype: torch.dtype = torch.bfloat16) -> Problem:
    torch.manual_seed(163)
    model = nn.Sequential(nn.Linear(20, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 3)).to(dtype)
    x, y = data.table(128, 20, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, (x.to(dtype), y), lambda output, target: F.cross_entropy(output.float(), target), optimizer


def own_cross_entropy(probability: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log(probability)).sum(dim=1).mean()


class Shares(nn.Module):
    """Shares that add up to one: by softmax, or by ReLU and division."""

    def __init__(self, positive: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 4))
        self.positive = positive

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        if self.positive:
            return x.softmax(dim=1)
        x = F.relu(x)
        return x / x.sum(dim=1, keepdim=True)


def shares(positive: bool = True, optimizer: MakeOptimizer = None) -> Problem:
    """With ReLU a share may be 0, and its logarithm is infinite."""
    torch.manual_seed(164)
    x, y = data.table(64, 10, 4)
    model = Shares(positive)
    return model, (x, F.one_hot(y, 4).float()), own_cross_entropy, of(model, optimizer)


class Bag(nn.Module):
    """Words counted and divided by their norm, which for an empty text is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, counts: Tensor) -> Tensor:
        return self.out(counts / counts.norm(dim=1, keepdim=True))


def bag(empty: bool = False, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(165)
    counts = torch.poisson(torch.full((64, 40), 0.4))
    counts[:, 0] += 1
    label = (counts[:, :20].sum(dim=1) > counts[:, 20:].sum(dim=1)).long()
    if empty:
        counts[9] = 0
    model = Bag()
    return model, (counts, label), nn.CrossEntropyLoss(), of(model, optimizer)


def percentages(zeros: bool = False, optimizer: MakeOptimizer = None) -> Problem:
    """Mean absolute percentage error, with a target of 0 among them."""
    torch.manual_seed(166)
    x = torch.randn(128, 6)
    y = torch.exp(0.5 * x[:, :1])
    if zeros:
        y[3] = 0
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
    return model, (x, y), lambda output, target: ((output - target).abs() / target).mean(), of(model, optimizer)


FAULTY = (
    faulty("half-own-norm", "half-overflow", sum_pool, fault={"dtype": torch.float16}),
    faulty("half-exponentials", "half-overflow", sharp_pairs, fault={"dtype": torch.float16}),
    faulty("half-static-loss-scale", ("half-overflow", "loss-scale"), autocast, dtype=torch.float16,
           optimizer=sgd(0.05), fault={"static_scale": 2.0**24}),
    faulty("log-of-a-share-of-zero", "unsafe-op", shares, optimizer=adam(3e-3), fault={"positive": False}),
    faulty("empty-bag-of-words", "unsafe-op", bag, optimizer=adam(3e-3), fault={"empty": True}),
    faulty("percentage-of-zero", "unsafe-op", percentages, fault={"zeros": True}, optimizer=adam(3e-3)),
)  # fmt: skip

SOUND = (
    sound("sum-pool-own-norm", sum_pool),
    sound("conv-autocast-bfloat16", autocast, optimizer=sgd(0.05, 0.9)),
    sound("conv-autocast-float16", autocast, dtype=torch.float16, optimizer=sgd(0.05)),
    sound("mlp-bfloat16", low_precision),
    sound("mlp-float16", low_precision, dtype=torch.float16),
    sound("shares-softmax", shares, optimizer=adam(3e-3)),
    sound("bag-of-words", bag, optimizer=adam(3e-3)),
)
