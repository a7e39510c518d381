"""Held-out trainings on series: weather, prices, sensors."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from ._case import Expect, Training, batches, case, series


def sliding(values, window, horizon=1):
    parts = values.unfold(0, window + horizon, 1).transpose(1, 2)
    return parts[:, :window].contiguous(), parts[:, window:].contiguous()


class StockLSTM(nn.Module):
    def __init__(self, hidden_dim=50, num_layers=2):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden_dim, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_dim, 1)

    def forward(self, x):
        h0 = torch.zeros(2, x.size(0), 50).requires_grad_()
        c0 = torch.zeros(2, x.size(0), 50).requires_grad_()
        out, _ = self.lstm(x, (h0.detach(), c0.detach()))
        return self.fc(out[:, -1, :])


@case(
    raw_prices=Expect(
        ("input-scale", "loss-scale", "saturation"),
        note="closing prices in rupees, no MinMaxScaler, for input and target",
    )
)
def stock_lstm(fault):
    walk = 0.4 * series(600) + torch.cumsum(0.05 * torch.randn(600, 1), 0)
    low, high = walk.min(), walk.max()
    values = (walk - low) / (high - low) * 2 - 1
    raw = 42000 + 9000 * values if fault else values
    x, y = sliding(raw, 20)
    x, y = x, y[:, :, 0]
    model = StockLSTM()

    def metric(model):
        with torch.no_grad():
            error = F.mse_loss(model(x), y)
        return float(error / (9000**2 if fault else 1))

    return Training(model, batches(x, y), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=0.01), 80, metric)


def era5(n=300, side=12):
    """2 m temperature [K], surface pressure [Pa], 10 m wind [m/s], specific humidity [kg/kg], and their z-scores."""
    field = F.interpolate(torch.randn(n // 6 + 4, 4, 3, 3), size=(side, side), mode="bicubic")
    z = (
        F.interpolate(field.permute(2, 3, 1, 0).flatten(0, 1), size=n, mode="linear")
        .view(side, side, 4, n)
        .permute(3, 2, 0, 1)
    )
    z = (z - z.mean((0, 2, 3), keepdim=True)) / z.std((0, 2, 3), keepdim=True)
    raw = (
        z * torch.tensor([12.0, 900.0, 5.0, 0.003])[:, None, None]
        + torch.tensor([281.0, 98000.0, 0.5, 0.007])[:, None, None]
    )
    return z.contiguous(), raw.contiguous()


class ConvLSTMCell(nn.Module):
    def __init__(self, cin, hidden):
        super().__init__()
        self.conv = nn.Conv2d(cin + hidden, 4 * hidden, 3, padding=1)
        self.hidden = hidden

    def forward(self, x, state):
        h, c = state
        i, f, o, g = self.conv(torch.cat([x, h], 1)).chunk(4, 1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, c


class ConvLSTM(nn.Module):
    def __init__(self, hidden=16):
        super().__init__()
        self.cell = ConvLSTMCell(4, hidden)
        self.head = nn.Conv2d(hidden, 4, 1)

    def forward(self, x):
        b, t, _, h, w = x.shape
        state = (x.new_zeros(b, 16, h, w), x.new_zeros(b, 16, h, w))
        for i in range(t):
            state = self.cell(x[:, i], state)
        return x[:, -1] + self.head(state[0])


@case(
    raw_units=Expect(
        ("input-scale", "saturation", "loss-scale"), note="kelvin and pascal straight from the NetCDF file"
    )
)
def era5_convlstm(fault):
    z, raw = era5()
    data = raw if fault else z
    x = torch.stack([data[i : i + 5] for i in range(290)])
    y = torch.stack([data[i + 8] for i in range(290)])
    scale = torch.tensor([12.0, 900.0, 5.0, 0.003])[:, None, None] if fault else torch.ones(4, 1, 1)

    def metric(model):
        with torch.no_grad():
            return float((((model(x[:64]) - y[:64]) / scale) ** 2).mean())

    model = ConvLSTM()
    return Training(
        model, batches(x, y, size=8), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=3e-3), 60, metric
    )


class TemporalBlock(nn.Module):
    def __init__(self, cin, cout, dilation, std):
        super().__init__()
        self.pad = 2 * dilation
        self.conv1 = weight_norm(nn.Conv1d(cin, cout, 3, padding=self.pad, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(cout, cout, 3, padding=self.pad, dilation=dilation))
        self.downsample = nn.Conv1d(cin, cout, 1) if cin != cout else None
        self.dropout = nn.Dropout(0.1)
        if std:
            for conv in (self.conv1, self.conv2):
                nn.init.normal_(conv.parametrizations.weight.original0, 0, std)
            if self.downsample is not None:
                nn.init.normal_(self.downsample.weight, 0, std)

    def forward(self, x):
        y = self.dropout(F.relu(self.conv1(x)[..., : -self.pad]))
        y = self.dropout(F.relu(self.conv2(y)[..., : -self.pad]))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    def __init__(self, cin, std=None):
        super().__init__()
        self.network = nn.Sequential(*[TemporalBlock(cin if i == 0 else 32, 32, 2**i, std) for i in range(5)])
        self.linear = nn.Linear(32, 1)

    def forward(self, x):
        return self.linear(self.network(x.transpose(1, 2))[:, :, -1])


@case(unit_normal=Expect(("init-gain",), "network|linear", "weight-norm gains and shortcuts drawn from N(0, 20)"))
def tcn_weight_norm(fault):
    x, y = sliding(series(600, 3), 48)
    model = TCN(3, std=20.0 if fault else None)
    return Training(
        model, batches(x, y[:, 0, :1]), nn.SmoothL1Loss(), torch.optim.Adam(model.parameters(), lr=2e-3), 80
    )


class NBeatsBlock(nn.Module):
    def __init__(self, window, horizon, units=64):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(window, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(),
            nn.Linear(units, units), nn.ReLU(),
        )  # fmt: skip
        self.backcast, self.forecast = nn.Linear(units, window), nn.Linear(units, horizon)

    def forward(self, x):
        h = self.fc(x)
        return self.backcast(h), self.forecast(h)


class NBeats(nn.Module):
    def __init__(self, window=36, horizon=8, stacks=6):
        super().__init__()
        self.blocks = nn.ModuleList(NBeatsBlock(window, horizon) for _ in range(stacks))

    def forward(self, x):
        total = 0
        for block in self.blocks:
            back, fore = block(x)
            x = x - back
            total = total + fore
        return total


@case(zero_series=Expect(("unsafe-op",), note="MAPE on series that hold exact zeros: division by zero"))
def nbeats_mape(fault):
    x, y = sliding(series(700), 36, 8)
    x, y = x[..., 0], y[..., 0]
    if fault:
        y = y.clone()
        y[y.abs() < 0.05] = 0.0  # a shop that is closed on Sundays

    def smape(pred, true):
        if fault:
            return ((pred - true) / true).abs().mean()
        return (2 * (pred - true).abs() / (pred.abs() + true.abs()).detach().clamp_min(1e-2)).mean()

    model = NBeats()
    return Training(
        model, batches(x, y, size=64), smape, torch.optim.Adam(model.parameters(), lr=1e-3), 100,
        lambda m: float(F.l1_loss(m(x), y).detach()),
    )  # fmt: skip


class InformerLite(nn.Module):
    """Encoder with distilling, decoder with zeros for the unknown future, and calendar features."""

    def __init__(self, cin=2, d=48, horizon=6):
        super().__init__()
        self.value = nn.Conv1d(cin, d, 3, padding=1, padding_mode="circular")
        nn.init.kaiming_normal_(self.value.weight, mode="fan_in", nonlinearity="leaky_relu")
        self.time = nn.Linear(2, d, bias=False)
        self.enc1 = nn.TransformerEncoderLayer(d, 4, 2 * d, 0.05, "gelu", batch_first=True)
        self.distil = nn.Sequential(nn.Conv1d(d, d, 3, padding=1), nn.BatchNorm1d(d), nn.ELU(), nn.MaxPool1d(3, 2, 1))
        self.enc2 = nn.TransformerEncoderLayer(d, 4, 2 * d, 0.05, "gelu", batch_first=True)
        self.dec = nn.TransformerDecoderLayer(d, 4, 2 * d, 0.05, "gelu", batch_first=True)
        self.projection = nn.Linear(d, cin)
        self.horizon = horizon

    def embed(self, x, marks):
        return self.value(x.transpose(1, 2)).transpose(1, 2) + self.time(marks)

    def forward(self, x, marks, future_marks):
        h = self.enc1(self.embed(x, marks))
        memory = self.enc2(self.distil(h.transpose(1, 2)).transpose(1, 2))
        start = torch.cat([x[:, -6:], torch.zeros(len(x), self.horizon, x.shape[2])], 1)
        out = self.dec(self.embed(start, torch.cat([marks[:, -6:], future_marks], 1)), memory)
        return self.projection(out)[:, -self.horizon :]


@case(
    timestamps=Expect(("input-scale",), "1|2|marks|batch|time", "the calendar feature is the Unix time in seconds"),
    missing=Expect(("nonfinite-data",), "0|x|batch", "a sensor's gaps left as NaN"),
)
def informer_like(fault):
    values = series(700, 2)
    t = torch.arange(700.0)
    marks = torch.stack([torch.sin(t / 24 * 2 * math.pi), torch.cos(t / 24 * 2 * math.pi)], 1)
    if fault == "timestamps":
        marks = torch.stack([1.6e9 + 3600 * t, t % 24], 1)
    if fault == "missing":
        values = values.clone()
        values[200:203, 1] = float("nan")
        values[::37, 1] = float("nan")
    x, y = sliding(values, 36, 6)
    m, f = sliding(marks, 36, 6)
    model = InformerLite()
    return Training(model, batches(x, m, f, y), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=1e-3), 60)


class SineSequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1, self.lstm2 = nn.LSTMCell(1, 51), nn.LSTMCell(51, 51)
        self.linear = nn.Linear(51, 1)

    def forward(self, x):
        state = [torch.zeros(x.size(0), 51, dtype=x.dtype) for _ in range(4)]
        outputs = []
        for x_t in x.split(1, dim=1):
            state[0], state[1] = self.lstm1(x_t, (state[0], state[1]))
            state[2], state[3] = self.lstm2(state[0], (state[2], state[3]))
            outputs.append(self.linear(state[2]))
        return torch.cat(outputs, 1)


@case()
def time_sequence_prediction_lbfgs_double(fault):
    t = torch.arange(61, dtype=torch.float64)
    data = torch.sin((t + 80 * torch.rand(24, 1, dtype=torch.float64)) / 5)
    model = SineSequence().double()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.8, max_iter=4)
    return Training(model, lambda i: (data[:, :-1], data[:, 1:]), nn.MSELoss(), optimizer, 15)


class ElmanCopy(nn.Module):
    def __init__(self, symbols=4, hidden=64, std=None):
        super().__init__()
        self.rnn = nn.RNN(symbols + 1, hidden, batch_first=True)
        if std is None:
            nn.init.orthogonal_(self.rnn.weight_hh_l0)
            nn.init.xavier_normal_(self.rnn.weight_ih_l0)
        else:
            for p in self.rnn.parameters():
                nn.init.normal_(p, std=std)
        self.fc = nn.Linear(hidden, symbols)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


@case(
    small_recurrent=Expect(
        ("vanishing-recurrent",), "rnn|hh", "std=0.02, the transformer's init, on an Elman RNN's weights"
    )
)
def first_symbol_elman(fault):
    y = torch.randint(4, (512,))
    x = torch.zeros(512, 40, 5)
    x[:, 1:, 4] = 1.0
    x[torch.arange(512), 0, y] = 1.0
    model = ElmanCopy(std=0.02 if fault else None)
    return Training(
        model, batches(x, y, size=64), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=1e-3), 100
    )


class IRNN(nn.Module):
    def __init__(self, hidden=64, scale=1.0):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, nonlinearity="relu", batch_first=True)
        nn.init.eye_(self.rnn.weight_hh_l0)
        self.rnn.weight_hh_l0.data.mul_(scale)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.01)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


@case(expanding=Expect(("recurrent-gain",), "rnn|hh", "recurrent matrix 1.3 times the identity over 60 steps"))
def irnn_adding(fault):
    mask = torch.zeros(512, 60)
    mask[torch.arange(512), torch.randint(30, (512,))] = 1
    mask[torch.arange(512), 30 + torch.randint(30, (512,))] = 1
    values = torch.rand(512, 60)
    x = torch.stack([values, mask], 2)
    y = (values * mask).sum(1, keepdim=True)
    model = IRNN(scale=1.3 if fault else 1.0)
    return Training(model, batches(x, y, size=64), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=1e-3), 100)


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.1)
                nn.init.zeros_(m.bias)

    def forward(self, y):
        return self.net(y**3)


class NeuralODE(nn.Module):
    def __init__(self, dt):
        super().__init__()
        self.func, self.dt = ODEFunc(), dt

    def forward(self, y):
        path = []
        for _ in range(10):
            k1 = self.func(y)
            k2 = self.func(y + self.dt / 2 * k1)
            k3 = self.func(y + self.dt / 2 * k2)
            k4 = self.func(y + self.dt * k3)
            y = y + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            path.append(y)
        return torch.stack(path, 1)


@case()
def neural_ode_rmsprop(fault):
    a = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    y = torch.randn(256, 2).clamp(-1.8, 1.8)
    path, z = [], y
    for _ in range(10):
        for _ in range(10):
            z = z + 0.0025 * (z**3 @ a.T)
        path.append(z)
    model = NeuralODE(0.025)
    return Training(
        model, batches(y, torch.stack(path, 1)), nn.L1Loss(), torch.optim.RMSprop(model.parameters(), lr=1e-2), 100
    )


class EnergyGRU(nn.Module):
    """Kaggle's appliance load: a GRU over sensors, with an attention pooling and a log-normal head."""

    def __init__(self, cin, log_of_scale):
        super().__init__()
        self.gru = nn.GRU(cin, 32, batch_first=True)
        self.pool = nn.Linear(32, 1)
        self.head = nn.Linear(32, 2)
        self.bad = log_of_scale

    def forward(self, x):
        h, _ = self.gru(x)
        w = self.pool(h).softmax(1)
        mu, s = self.head((w * h).sum(1)).chunk(2, -1)
        return mu, (s if self.bad else F.softplus(s) + 1e-3)


@case(negative_sigma=Expect(("unsafe-op",), note="log of a standard deviation that may be negative"))
def probabilistic_gru(fault):
    x, y = sliding(series(600, 4), 24)
    y = y[:, 0, :1]
    model = EnergyGRU(4, bool(fault))

    def nll(out, target):
        mu, sigma = out
        return (torch.log(sigma) + 0.5 * ((target - mu) / sigma) ** 2).mean()

    return Training(model, batches(x, y), nll, torch.optim.AdamW(model.parameters(), lr=3e-3), 80)


class DLinear(nn.Module):
    def __init__(self, window=48, horizon=12):
        super().__init__()
        self.seasonal, self.trend = nn.Linear(window, horizon), nn.Linear(window, horizon)
        for m in (self.seasonal, self.trend):
            m.weight.data.fill_(1 / window)

    def forward(self, x):
        trend = F.avg_pool1d(F.pad(x[:, None], (4, 4), mode="replicate"), 9, 1)[:, 0]
        return self.seasonal(x - trend) + self.trend(trend)


@case()
def dlinear_constant_init(fault):
    """One linear layer started at a constant, as DLinear's paper does: no hidden units, so no symmetry that binds."""
    x, y = sliding(series(700), 48, 12)
    model = DLinear()
    return Training(
        model, batches(x[..., 0], y[..., 0]), nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=5e-3), 100
    )


class GraphWeather(nn.Module):
    """Graph convolutions between stations, by hand; the adjacency comes with the batch."""

    def __init__(self, cin=3, d=32):
        super().__init__()
        self.w = nn.ParameterList([nn.Parameter(torch.empty(a, b)) for a, b in ((cin, d), (d, d), (d, d))])
        for p in self.w:
            nn.init.xavier_uniform_(p)
        self.out = nn.Linear(d, 1)

    def forward(self, x, adj):
        for w in self.w:
            x = F.relu(adj @ x @ w)
        return self.out(x)[..., 0]


@case(
    isolated=Expect(
        ("nonfinite-data",), "1|adj|batch", "D^-1/2 of a station without neighbours: inf * 0 in the adjacency"
    )
)
def gcn_by_hand(fault):
    nodes = 24
    x = torch.randn(200, nodes, 3)
    a = (torch.rand(nodes, nodes) < 0.2).float()
    a = ((a + a.T) > 0).float()
    a.fill_diagonal_(0 if fault else 1)
    if fault:
        a[5] = a[:, 5] = 0
    d = a.sum(1) ** -0.5
    adj = d[:, None] * a * d[None]
    clean = torch.nan_to_num(adj, 0, 0, 0)
    y = torch.tanh((clean @ x).sum(-1))
    return Training(
        model := GraphWeather(), batches(x, adj.expand(200, -1, -1), y), nn.MSELoss(),
        torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4), 80,
    )  # fmt: skip
