"""Several inputs and odd shapes: recommenders, graphs, sets, weather with its units."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import MakeOptimizer, adam, of, sgd


class Recommender(nn.Module):
    """DLRM: numbers through an MLP, categories through embeddings, products of all pairs, another MLP."""

    def __init__(self, embedding_std: float | None) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.EmbeddingBag(size, 16) for size in (1000, 200, 30))
        self.bottom = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(16 + 6, 32), nn.ReLU(), nn.Linear(32, 1))
        for table in self.tables:
            bound = (3 * (embedding_std or 0.25 / 3**0.5) ** 2) ** 0.5
            nn.init.uniform_(table.weight, -bound, bound)

    def forward(self, numbers: Tensor, categories: Tensor, labels: Tensor | None = None) -> Tensor:
        dense = self.bottom(numbers)
        vectors = [table(ids[:, None]) for table, ids in zip(self.tables, categories.T, strict=True)]
        every = torch.stack([dense, *vectors], dim=1)
        row, column = torch.triu_indices(4, 4, offset=1)
        pairs = (every @ every.transpose(1, 2))[:, row, column]
        return self.top(torch.cat([dense, pairs], dim=1)).squeeze(1)


def clicks(
    embedding_std: float | None = None, style: str = "dict", gap: bool = False, optimizer: MakeOptimizer = None
) -> Problem:
    """`gap`: one number is missing, as NaN."""
    torch.manual_seed(140)
    model = Recommender(embedding_std)
    numbers = torch.randn(256, 6)
    categories = torch.stack([torch.randint(0, size, (256,)) for size in (1000, 200, 30)], dim=1)
    labels = (numbers[:, 0] + (categories[:, 2] > 15) + 0.5 * torch.randn(256) > 0.8).float()
    if gap:
        numbers[17, 3] = float("nan")
    batch = (numbers, categories, labels)
    if style == "dict":
        batch = {"numbers": numbers, "categories": categories, "labels": labels}
    return model, batch, nn.BCEWithLogitsLoss(), of(model, optimizer)


class Demand(nn.Module):
    """Sales of a shop: their history by a GRU, the shop and the calendar by embeddings, several days ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.history = nn.GRU(2, 24, batch_first=True)
        self.store, self.weekday = nn.Embedding(40, 8), nn.Embedding(7, 4)
        self.decoder = nn.Sequential(nn.Linear(24 + 8 + 4, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 3))

    def forward(self, history: Tensor, store: Tensor, weekday: Tensor, target: Tensor | None = None) -> Tensor:
        _, state = self.history(history)
        return self.decoder(torch.cat([state[-1], self.store(store), self.weekday(weekday)], dim=-1))


def demand(units: float = 1.0, optimizer: MakeOptimizer = None) -> Problem:
    """`units`: how many pieces a standard deviation is, in history and target."""
    torch.manual_seed(146)
    x, _ = data.series(64, 30, 2)
    batch = {
        "history": units * x[:, :27],
        "store": torch.randint(0, 40, (64,)),
        "weekday": torch.randint(0, 7, (64,)),
        "target": units * x[:, 27:, 0],
    }
    model = Demand()
    return model, batch, nn.HuberLoss(), of(model, optimizer)


class GraphNet(nn.Module):
    """Layers of A X W, with the adjacency matrix as an input."""

    def __init__(self, depth: int, gain: float | None) -> None:
        super().__init__()
        sizes = [12, *[32] * depth]
        self.weights = nn.ParameterList(torch.empty(a, b) for a, b in pairwise(sizes))
        self.read = nn.Linear(32, 3)
        for weight in self.weights:
            nn.init.xavier_uniform_(weight) if gain is None else nn.init.normal_(weight, std=gain)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        for weight in self.weights:
            x = F.relu(adjacency @ (x @ weight))
        return self.read(x)


def graph(depth: int = 2, gain: float | None = None, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(141)
    label = torch.arange(90) % 3
    near = torch.rand(90, 90) < torch.where(label[:, None] == label, 0.15, 0.02)
    adjacency = (near | near.T | torch.eye(90, dtype=torch.bool)).float()
    root = adjacency.sum(dim=1).rsqrt()
    x = torch.randn(90, 12)
    x[torch.arange(90), label] += 1
    model = GraphNet(depth, gain)
    return model, (x, root[:, None] * adjacency * root, label), nn.CrossEntropyLoss(), of(model, optimizer)


class Factors(nn.Module):
    def __init__(self, std: float) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(100, 24), nn.Embedding(80, 24)
        self.user_bias, self.item_bias = nn.Embedding(100, 1), nn.Embedding(80, 1)
        self.mean = nn.Parameter(torch.tensor(3.0))
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=std)
        nn.init.zeros_(self.user_bias.weight)
        nn.init.zeros_(self.item_bias.weight)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        score = (self.user(user) * self.item(item)).sum(dim=1)
        return self.mean + score + self.user_bias(user)[:, 0] + self.item_bias(item)[:, 0]


def ratings(std: float = 0.1, infinite: bool = False, optimizer: MakeOptimizer = None) -> Problem:
    """Stars from 1 to 5. `infinite`: a target is inf."""
    torch.manual_seed(142)
    user, item = torch.randint(0, 100, (256,)), torch.randint(0, 80, (256,))
    taste, kind = torch.randn(100), torch.randn(80)
    stars = (3 + taste[user] + kind[item]).round().clamp(1, 5)
    if infinite:
        stars[100] = float("inf")
    model = Factors(std)
    return model, (user, item, stars), nn.MSELoss(), of(model, optimizer)


class Sets(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32))
        self.all = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, points: Tensor) -> Tensor:
        return self.all(self.each(points).amax(dim=1))


def point_clouds() -> Problem:
    torch.manual_seed(143)
    label = torch.arange(32) % 2
    points = torch.randn(32, 50, 3)
    points = torch.where(label[:, None, None] == 1, F.normalize(points, dim=-1) * 1.7, points)
    model = Sets()
    return model, (points, label), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=3e-3)


def weather(units: bool = False, stray: float = 1.0, optimizer: MakeOptimizer = None) -> Problem:
    """Tomorrow's temperature from pressure, temperature, humidity, wind: standardised, or in their units.

    `stray` multiplies one more feature.
    """
    torch.manual_seed(144)
    x = torch.randn(200, 8)
    y = 0.6 * x[:, 1:2] - 0.3 * x[:, :1] + 0.2 * torch.sin(x[:, 2:3]) + 0.1 * torch.randn(200, 1)
    if units:
        deviation = torch.tensor([900.0, 9.0, 15.0, 4.0, 4.0, 120.0, 300.0, 5.0])
        x = x * deviation + torch.tensor([101300.0, 288.0, 70.0, 6.0, 0.0, 180.0, 400.0, 10.0])
    x[:, 6] *= stray
    model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    return model, (x, y), nn.MSELoss(), of(model, optimizer)


def credit(scale: float = 1.0) -> Problem:
    """Logistic regression; `scale` is the size of an income."""
    torch.manual_seed(145)
    x, y = data.scores(300, 5)
    x[:, 2] *= scale
    return nn.Linear(5, 1), (x, (y > 0).float()), nn.BCEWithLogitsLoss(), None


FAULTY = (
    faulty("clicks-embeddings-of-6", "init-gain", clicks, optimizer=adam(3e-3), fault={"embedding_std": 6.0}),
    faulty("graph-weights-of-1", "init-gain", graph, depth=5, fault={"gain": 1.0}),
    faulty("ratings-factors-of-2", "init-gain", ratings, optimizer=adam(1e-2), fault={"std": 2.0}),
    faulty("clicks-missing-value", "nonfinite-data", clicks, optimizer=adam(), fault={"gap": True}),
    faulty("ratings-infinite", "nonfinite-data", ratings, optimizer=adam(1e-2), fault={"infinite": True}),
    faulty("weather-in-units", "input-scale", weather, optimizer=adam(), fault={"units": True}),
    faulty("weather-one-feature-1e4", "input-scale", weather, optimizer=sgd(0.05), fault={"stray": 1e4}),
    faulty("demand-in-pieces", ("input-scale", "loss-scale"), demand, optimizer=adam(3e-3), fault={"units": 4e4}),
    faulty("credit-income", "input-scale", credit, fault={"scale": 5e3}),
)

SOUND = (
    sound("clicks-dict", clicks, optimizer=adam(3e-3)),
    sound("clicks-tuple", clicks, style="tuple", optimizer=adam(3e-3)),
    sound("demand-target-in-dict", demand, optimizer=adam(3e-3)),
    sound("graph-convolution", graph, optimizer=adam(1e-2)),
    sound("ratings-factors", ratings, optimizer=adam(1e-2)),
    sound("point-clouds", point_clouds),
    sound("weather", weather, optimizer=sgd(0.05)),
    sound("credit", credit),
)
