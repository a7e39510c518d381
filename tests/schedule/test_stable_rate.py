"""The largest stable rate: exact on quadratics, and what it means for real networks."""

import copy
import math

import pytest
import torch
from torch import nn

from steadygrad.schedule import max_stable_lr, warmup


def test_for_parameters_alone_it_is_that_of_gradient_descent():
    weight = torch.ones(2, requires_grad=True)
    found = max_stable_lr(lambda: 5 * (weight**2).sum(), [weight], safety=0.25)
    assert (found.edge, found.lr, found.sharpness) == pytest.approx((0.2, 0.05, 10.0))
    assert found.lrs == (found.lr,)
    assert found.converged
    assert found.formula == "2 / lr"


def test_the_present_rate_does_not_matter_but_the_proportion_of_the_groups_does():
    a, b = (torch.ones(1, requires_grad=True) for _ in range(2))
    loss = lambda: 5 * (a**2).sum() + 50 * (b**2).sum()  # noqa: E731

    def rates(*present):
        groups = [{"params": [p], "lr": rate} for p, rate in zip((a, b), present, strict=True)]
        return max_stable_lr(loss, torch.optim.SGD(groups), safety=1.0).lrs

    assert rates(1.0, 1.0) == pytest.approx((0.02, 0.02))
    assert rates(1e-7, 1e-7) == pytest.approx((0.02, 0.02))
    assert rates(1.0, 0.01) == pytest.approx((0.2, 0.002))
    assert rates(0.0, 0.0) == pytest.approx((0.02, 0.02))
    warming = torch.optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 0.01}])
    torch.optim.lr_scheduler.LambdaLR(warming, lambda step: float(step > 0))
    assert max_stable_lr(loss, warming, safety=1.0).lrs == pytest.approx((0.2, 0.002))


def test_the_optimizer_is_left_alone():
    weight = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.3)
    weight.grad = torch.ones(2)
    before = copy.deepcopy(optimizer.state_dict())
    found = max_stable_lr(lambda: (weight**2).sum(), optimizer)
    assert optimizer.state_dict() == before
    assert torch.equal(weight.grad, torch.ones(2))
    assert "second moments estimated from the batch" in found.why


def test_a_loss_that_curves_nowhere_upwards_sets_no_limit():
    weight = torch.ones(2, requires_grad=True)
    found = max_stable_lr(lambda: -(weight**2).sum(), [weight])
    assert found.lr == math.inf
    assert "no direction" in found.why


def test_what_cannot_be_answered_is_refused():
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="Adagrad stands is not known: use a range test"):
        max_stable_lr(lambda: (weight**2).sum(), torch.optim.Adagrad([weight]))
    with pytest.raises(ValueError, match="not finite"):
        max_stable_lr(lambda: (weight * math.nan).square().sum(), [weight])
    with pytest.raises(ValueError, match="safety is 2"):
        max_stable_lr(lambda: (weight**2).sum(), [weight], safety=2)


class Last(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 16)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.layer(self.embed(x)).mean(1))


def dense(activation):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(80, 64), activation(), nn.Linear(64, 64), activation(), nn.Linear(64, 1)
    )


NETS = {
    "tanh": lambda: dense(nn.Tanh),
    "relu": lambda: dense(nn.ReLU),
    "conv": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 10)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(640, 1),
    ),
    "batch norm": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 10)), nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(640, 1),
    ),
    "lstm": lambda: Last(nn.LSTM(8, 24, batch_first=True)),
    "gru": lambda: Last(nn.GRU(8, 24, batch_first=True)),
    "transformer": Transformer,
}  # fmt: skip

OPTIMIZERS = {
    "sgd": lambda params, lr: torch.optim.SGD(params, lr=lr),
    "momentum": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9),
    "nesterov": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9, nesterov=True),
    "adam": lambda params, lr: torch.optim.Adam(params, lr=lr),
}


def trained(kind, optimizer, seed, part, warm):
    """The losses of 150 full-batch steps at a part of the edge, over the first."""
    torch.manual_seed(seed)
    net = NETS[kind]()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(128, 10, 8, generator=generator)
    y = (x[:, :3, :].sum((1, 2)) + x[:, -1, 0]).unsqueeze(1)
    y = (y - y.mean()) / y.std()
    loss = lambda: nn.functional.mse_loss(net(x), y)  # noqa: E731
    edge = max_stable_lr(loss, OPTIMIZERS[optimizer](net.parameters(), 1.0)).edge
    made = OPTIMIZERS[optimizer](net.parameters(), part * edge)
    scheduler = warmup(made, warm)
    losses = []
    for _ in range(150):
        made.zero_grad()
        value = loss()
        losses.append(value.item())
        if not losses[-1] < 1e6:
            break
        value.backward()
        made.step()
        scheduler.step()
    return torch.tensor(losses) / losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", NETS)
def test_a_tenth_of_the_edge_after_a_warmup_trains(kind, optimizer):
    for seed in range(3):
        losses = trained(kind, optimizer, seed, 0.1, 50)
        assert losses.max() < 8, seed
        assert losses[-1] < 0.95, seed


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETS)
def test_a_quarter_of_it_trains_with_adam_from_the_first_step(kind):
    for seed in range(3):
        losses = trained(kind, "adam", seed, 0.25, 1)
        # The very first steps go by the sign of the gradient, of which the edge says nothing.
        assert losses.max() < 5, seed
        assert losses[-1] < 0.01, seed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_half_of_it_trains_plain_nets_with_gradient_descent(kind):
    for seed in range(3):
        losses = trained(kind, "sgd", seed, 0.5, 1)
        assert losses.max() < 4, seed
        assert losses[-1] < 1e-3, seed


# Batch norm makes what is before it indifferent to scale: weights that are thrown far out train on, flatter.
@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
@pytest.mark.parametrize("kind", [kind for kind in NETS if kind != "batch norm"])
def test_three_times_the_edge_is_ruin(kind, optimizer):
    for seed in range(2):
        losses = trained(kind, optimizer, seed, 3.0, 1)
        assert not losses[-1] < 0.9, seed
        assert not losses.max() < 1.3, seed


# Adam's second moments grow with the gradients, and shorten its steps again: the loss is thrown up, and comes back.
@pytest.mark.slow
@pytest.mark.parametrize("kind", NETS)
def test_ten_times_the_edge_throws_adam_far_up(kind):
    for seed in range(2):
        assert trained(kind, "adam", seed, 10.0, 1).max() > 50, seed


@pytest.mark.slow
@pytest.mark.parametrize(("lr", "steps"), [(0.4, 2500), (0.2, 3000)])
def test_full_batch_gradient_descent_settles_at_the_edge(lr, steps):
    """A three-layer tanh network: sharpness rises to 2 / lr, or a little above, and stays there."""
    from steadygrad.measure import step_sharpness

    torch.manual_seed(0)
    x = torch.randn(512, 10)
    teacher = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1))
    y = teacher(3 * x).detach()
    y = (y - y.mean()) / y.std()
    net = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    ratios = []
    for step in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        if step > 0.7 * steps and step % 100 == 0:
            ratios.append(step_sharpness(loss, optimizer, tolerance=0.02).ratio.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert sum(ratios) / len(ratios) == pytest.approx(1.0, abs=0.05)
