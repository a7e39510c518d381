"""Recurrence written by hand: cells as modules, as bare parameters, state spaces, depth by repetition."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import MakeOptimizer, adam, of, sgd


class ElmanCell(nn.Module):
    def __init__(self, features: int, width: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.i2h = nn.Linear(features + width, width)
        self.activation = activation

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        return self.activation(self.i2h(torch.cat([x, hidden], dim=1)))


class Elman(nn.Module):
    """The cell of a tutorial, in a loop over time."""

    def __init__(self, features: int, width: int, outputs: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.width = width
        self.cell = ElmanCell(features, width, activation)
        self.h2o = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.zeros(x.shape[0], self.width)
        for t in range(x.shape[1]):
            hidden = self.cell(x[:, t], hidden)
        return self.h2o(hidden)


def elman(
    length: int = 12,
    std: float | None = None,
    activation: Callable[[Tensor], Tensor] = torch.tanh,
    task: str = "series",
    optimizer: MakeOptimizer = None,
) -> Problem:
    """torch's own weights, or for the recurrent part an orthogonal matrix times `std * sqrt(width)`."""
    torch.manual_seed(60)
    recall = task == "recall"
    model = Elman(2, 48, 2, activation)
    if std is not None:
        with torch.no_grad():
            model.cell.i2h.weight[:, 2:] = nn.init.orthogonal_(torch.empty(48, 48), gain=std * math.sqrt(48))
    batch = data.recall(256, length) if recall else data.series(64, length, 2)
    return model, batch, nn.CrossEntropyLoss() if recall else nn.MSELoss(), of(model, optimizer)


class OwnLstm(nn.Module):
    """Four gates from bare parameters."""

    def __init__(self, features: int, hidden: int, bound: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.W = nn.Parameter(torch.empty(features, 4 * hidden).uniform_(-bound, bound))
        self.U = nn.Parameter(torch.empty(hidden, 4 * hidden).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.zeros(4 * hidden))

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[0], self.hidden)
        outputs = []
        for x_t in x.unbind(1):
            i, f, g, o = (x_t @ self.W + h @ self.U + self.b).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, dim=1)


class CharacterModel(nn.Module):
    def __init__(self, letters: int, hidden: int, bound: float) -> None:
        super().__init__()
        self.lstm = OwnLstm(letters, hidden, bound)
        self.head = nn.Linear(hidden, letters)

    def forward(self, letters: Tensor) -> Tensor:
        one_hot = F.one_hot(letters, self.head.out_features).float()
        return self.head(self.lstm(one_hot)).transpose(1, 2)


def characters(bound: float = 0.125, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(61)
    model = CharacterModel(30, 64, bound)
    letters = data.text(16, 41, 30)
    return model, (letters[:, :-1], letters[:, 1:]), nn.CrossEntropyLoss(), of(model, optimizer)


class OwnGru(nn.Module):
    """Gates by linear layers."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.gates = nn.Linear(features + width, 2 * width)
        self.candidate = nn.Linear(features + width, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        state = x.new_zeros(len(x), self.candidate.out_features) if state is None else state
        for step in x.transpose(0, 1):
            update, reset = torch.sigmoid(self.gates(torch.cat([step, state], -1))).chunk(2, -1)
            new = torch.tanh(self.candidate(torch.cat([step, reset * state], -1)))
            state = update * state + (1 - update) * new
        return self.out(state), state


def own_gru(optimizer: MakeOptimizer = None) -> Problem:
    """The loss takes model and batch, and keeps the state small."""
    torch.manual_seed(62)
    model = OwnGru(4, 32)
    x, y = data.series(40, 30, 4)

    def loss_fn(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        output, state = model(batch[0])
        return F.mse_loss(output, batch[1][:, :1]) + 1e-3 * state.pow(2).mean()

    return model, (x, y), loss_fn, of(model, optimizer)


class LinearState(nn.Module):
    """h' = A h + B x with a full matrix."""

    def __init__(self, radius: float) -> None:
        super().__init__()
        self.A = nn.Parameter(nn.init.orthogonal_(torch.empty(24, 24), gain=radius))
        self.B = nn.Parameter(torch.randn(24, 2) * 0.3)
        self.C = nn.Parameter(torch.randn(2, 24) * 0.2)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], 24)
        for t in range(x.shape[1]):
            h = h @ self.A.T + x[:, t] @ self.B.T
        return h @ self.C.T


def linear_state(radius: float = 0.95, length: int = 60, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(63)
    model = LinearState(radius)
    return model, data.series(64, length, 2), nn.MSELoss(), of(model, optimizer)


class DiagonalStates(nn.Module):
    """Stacked state spaces with one real decay a channel, between layer norms: S4 without its tricks."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.inlet = nn.Linear(2, 32)
        decay = torch.linspace(low, high, 32)
        self.logits = nn.ParameterList(torch.log(decay / (1 - decay)) for _ in range(2))
        self.mix = nn.ModuleList(nn.Linear(32, 32) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(2))
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        for logit, mix, norm in zip(self.logits, self.mix, self.norms, strict=True):
            decay, state, states = torch.sigmoid(logit), torch.zeros_like(x[:, 0]), []
            for step in norm(x).unbind(1):
                state = decay * state + (1 - decay**2).sqrt() * step
                states.append(state)
            x = x + F.gelu(mix(torch.stack(states, dim=1)))
        return self.head(x[:, -1])


def diagonal_states(low: float = 0.9, high: float = 0.999, length: int = 64) -> Problem:
    torch.manual_seed(64)
    model = DiagonalStates(low, high)
    return model, data.recall(256, length), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=1e-2)


class Relaxation(nn.Module):
    """One layer applied many times, as in a recurrent graph net or an equilibrium model."""

    def __init__(self, times: int, gain: float) -> None:
        super().__init__()
        self.times = times
        self.embed = nn.Linear(16, 40)
        self.step = nn.Linear(40, 40)
        self.read = nn.Linear(40, 3)
        nn.init.orthogonal_(self.step.weight, gain=gain)

    def forward(self, x: Tensor) -> Tensor:
        drive = self.embed(x)
        z = torch.zeros_like(drive)
        for _ in range(self.times):
            z = F.leaky_relu(self.step(z) + drive, 0.3)
        return self.read(z)


def relaxation(gain: float = 0.7, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(65)
    model = Relaxation(30, gain)
    return model, data.table(128, 16, 3), F.cross_entropy, of(model, optimizer)


FAULTY = (
    faulty("own-cell-randn", "recurrent-gain", elman, length=40, std=0.1, optimizer=adam(3e-3),
           fault={"std": 1.0}, where="cell"),
    faulty("own-cell-relu-gain-2", "recurrent-gain", elman, length=50, std=0.14, activation=torch.relu,
           optimizer=adam(), fault={"std": 0.3}, where="cell"),
    faulty("own-lstm-weights-of-2", "recurrent-gain", characters, optimizer=adam(1e-2), fault={"bound": 3.5}),
    faulty("linear-state-radius-1.3", "recurrent-gain", linear_state, optimizer=adam(), fault={"radius": 1.3}),
    faulty("relaxation-gain-2.5", ("recurrent-gain", "init-gain"), relaxation, fault={"gain": 2.5}),
    faulty("own-cell-sigmoid-80-steps", "vanishing-recurrent", elman, length=80, std=0.14, task="recall",
           optimizer=adam(3e-3), fault={"activation": torch.sigmoid, "std": None}, where="cell"),
    faulty("linear-state-forgets", "vanishing-recurrent", diagonal_states, fault={"low": 0.2, "high": 0.6}),
)  # fmt: skip

SOUND = (
    sound("own-cell-tanh", elman, optimizer=adam(3e-3)),
    sound("own-lstm-parameters", characters, optimizer=adam(3e-3)),
    sound("own-gru", own_gru, optimizer=sgd(0.1)),
    sound("linear-state", linear_state, optimizer=adam()),
    sound("diagonal-state-space", diagonal_states),
    sound("relaxation", relaxation, optimizer=adam()),
)
