"""Runs whose loss has fallen, and rests where it says the same of every sample: what has kept it from more is found."""

import json
import math

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._watch.sampler import Sampler


def followed(tmp_path, model, optimizer, loss_of, steps):
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for step in range(steps):
            torch.manual_seed(step)
            optimizer.zero_grad()
            loss_of(model).backward()
            optimizer.step()
    return sg.open_run(watch.run)


def detector(bias):
    """A heat map of rare points; the prior of a rare class is written into every bias, or into that of the head."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Conv2d(8, 1, 3, padding=1))
    for module in net if bias == "everywhere" else [net[-1]]:
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.bias, -8.0)
    return net


def rare_points(net):
    y = torch.zeros(8, 144).scatter_(1, torch.rand(8, 144).argsort(1)[:, :3], 1.0).view(8, 1, 12, 12)
    x = 0.3 * torch.randn(8, 1, 12, 12) + 3 * y
    return nn.functional.binary_cross_entropy_with_logits(net(x), y, reduction="sum") / 8


def test_a_loss_that_falls_by_a_bias_alone_is_dead_units(tmp_path):
    """It falls at every step, and is neither flat nor at rest: that no gradient at all arrives is looked into."""
    net = detector("everywhere")
    found = followed(tmp_path, net, torch.optim.AdamW(net.parameters(), lr=1e-2), rare_points, 160)
    assert found.findings()[0].cause == "dead-units"


def test_a_prior_in_the_head_alone_is_healthy(tmp_path):
    net = detector("head")
    found = followed(tmp_path, net, torch.optim.AdamW(net.parameters(), lr=1e-2), rare_points, 160)
    assert found.verdict == "healthy"


class Sine(nn.Module):
    def __init__(self, wide, first):
        super().__init__()
        self.linear = nn.Linear(2 if first else wide, wide)
        bound = 0.5 if first else math.sqrt(6 / wide) / 15
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(15 * self.linear(x))


def terrain(net):
    x = 2 * torch.rand(256, 2) - 1
    return (net(x) - torch.exp(-4 * x.square().sum(1, keepdim=True))).square().mean()


@pytest.mark.parametrize(("lr", "verdict"), [(3e-2, "stalled"), (3e-4, "healthy")])
def test_steps_that_replace_the_weights_end_at_a_guess(lr, verdict, tmp_path):
    """The loss has lost nine tenths of what it began with: that much a constant explains."""
    torch.manual_seed(0)
    net = nn.Sequential(Sine(48, first=True), Sine(48, first=False), Sine(48, first=False), nn.Linear(48, 1))
    found = followed(tmp_path, net, torch.optim.Adam(net.parameters(), lr=lr), terrain, 400)
    assert found.verdict == verdict
    if verdict == "stalled":
        assert found.findings()[0].cause == "learning-rate"


BITS = 3


class Hasher(nn.Module):
    def __init__(self, steep):
        super().__init__()
        self.steep = steep
        self.code = nn.Sequential(nn.Linear(24, 48), nn.Tanh(), nn.Linear(48, BITS))
        self.back = nn.Sequential(nn.Linear(BITS, 48), nn.ReLU(), nn.Linear(48, 24))

    def forward(self, x):
        return self.back(torch.sigmoid(self.steep * self.code(x)))


def reconstruction(net):
    basis = torch.randn(6, 24, generator=torch.Generator().manual_seed(0)) / 2.5
    x = torch.randn(64, 6).tanh() @ basis
    return (net(x) - x).square().mean()


@pytest.mark.parametrize(("steep", "cause"), [(2000.0, "saturation"), (2.0, None)])
def test_codes_that_are_pinned_from_the_start(steep, cause, tmp_path):
    """What decodes them learns what it can of random codes, and then the loss rests."""
    torch.manual_seed(44)
    net = Hasher(steep)
    found = followed(tmp_path, net, torch.optim.Adam(net.parameters(), lr=2e-3), reconstruction, 520)
    assert [each.cause for each in found.findings()[:1]] == ([] if cause is None else [cause])


def test_a_net_that_solves_an_equation_is_asked_by_its_outputs(tmp_path):
    """Its loss holds derivatives by its inputs: nothing can stand in for what it says."""
    torch.manual_seed(6)
    layers = [nn.Linear(1, 24), nn.Tanh()]
    for _ in range(9):
        layers += [nn.Linear(24, 24), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Linear(24, 1))
    for module in net:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.03)
            nn.init.zeros_(module.bias)

    def equation(net):
        x = torch.rand(32, 1, requires_grad=True)
        slope = torch.autograd.grad(net(x).sum(), x, create_graph=True)[0]
        ends = net(torch.tensor([[0.0], [1.0]])) - torch.tensor([[2.0], [1.0]])
        return (slope - 4 * torch.cos(3 * x)).square().mean() + 10 * ends.square().mean()

    found = followed(tmp_path, net, torch.optim.Adam(net.parameters(), lr=1e-3), equation, 400)
    assert found.verdict == "stalled"
    assert found.findings()[0].cause == "vanishing-depth"


class Leaky(nn.Module):
    """A state that no weight multiplies: what is read is added to what is left of it."""

    def __init__(self, left):
        super().__init__()
        self.left = left
        self.read, self.say = nn.Linear(6, 24), nn.Linear(24, 3)

    def forward(self, x):
        state = x.new_zeros(len(x), 24)
        for now in x.unbind(1):
            state = self.left * state + torch.relu(self.read(now))
        return self.say(state)


def first_word(net):
    y = torch.randint(3, (64,))
    x = 0.3 * torch.randn(64, 30, 6)
    x[torch.arange(64), 0, y] += 3.0
    return nn.functional.cross_entropy(net(x), y)


@pytest.mark.parametrize(("left", "cause"), [(0.5, "vanishing-recurrent"), (0.99, None)])
def test_a_memory_without_weights_that_is_too_short(left, cause, tmp_path):
    torch.manual_seed(3)
    net = Leaky(left)
    found = followed(tmp_path, net, torch.optim.Adam(net.parameters(), lr=3e-3), first_word, 200)
    assert [each.cause for each in found.findings()[:1]] == ([] if cause is None else [cause])


class Shut(nn.Module):
    """A gated memory; its gate may be one that is exactly zero below -3."""

    def __init__(self, gate):
        super().__init__()
        self.gate, self.of, self.new, self.say = gate, nn.Linear(2, 16), nn.Linear(2, 16), nn.Linear(16, 1)
        nn.init.constant_(self.of.bias, -4.0)
        nn.init.normal_(self.of.weight, std=0.05)

    def forward(self, x):
        state = x.new_zeros(len(x), 16)
        for now in x.unbind(1):
            open_ = self.gate(self.of(now))
            state = (1 - open_) * state + open_ * torch.tanh(self.new(now))
        return self.say(state)[:, 0]


def integral(net):
    x = torch.randn(64, 1, 1) + 0.3 * torch.randn(64, 40, 2)
    return (net(x) - x[:, :, 0].mean(1)).square().mean()


@pytest.mark.parametrize(
    ("gate", "cause"), [(nn.functional.hardsigmoid, "saturation"), (torch.sigmoid, None)], ids=["hard", "soft"]
)
def test_a_gate_that_is_shut(gate, cause, tmp_path):
    torch.manual_seed(0)
    net = Shut(gate)
    found = followed(tmp_path, net, torch.optim.Adam(net.parameters(), lr=1e-2), integral, 200)
    assert [each.cause for each in found.findings()[:1]] == ([] if cause is None else [cause])


@pytest.mark.parametrize(("scaled", "cause"), [(False, "input-scale"), (True, None)])
def test_gates_that_large_inputs_have_pinned(scaled, cause, tmp_path):
    """Pressures in pascal: whatever comes, the memory says the same."""
    torch.manual_seed(42)
    lstm, head = nn.LSTM(3, 24, batch_first=True), nn.Linear(24, 1)
    net = nn.ModuleDict({"lstm": lstm, "head": head})

    def streamflow(net):
        x = torch.randn(64, 20, 3)
        y = x[:, -1:, 0] + 0.5 * x[:, -1:, 1]
        x = x if scaled else x * torch.tensor([1e-4, 10.0, 400.0]) + torch.tensor([0.0, 280.0, 101325.0])
        return (head(lstm(x)[0][:, -1]) - y).square().mean()

    found = followed(tmp_path, net, torch.optim.Adam(net.parameters(), lr=5e-3), streamflow, 200)
    assert [each.cause for each in found.findings()[:1]] == ([] if cause is None else [cause])


def test_gradients_that_pile_up_beside_another_training(tmp_path):
    """The loss that comes by first is another's, and does not reach the weights whose gradients nobody clears."""
    torch.manual_seed(0)
    actor, critic = nn.Linear(2, 1), nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 1))
    of_actor = torch.optim.Adam(actor.parameters(), lr=3e-3)
    of_critic = torch.optim.SGD(critic.parameters(), lr=0.02)
    with sg.watch(nn.ModuleList([actor, critic]), [of_actor, of_critic], record=tmp_path) as watch:
        for _ in range(80):
            x = torch.randn(64, 2)
            of_actor.zero_grad()
            (actor(x) * x[:, :1]).mean().backward()
            of_actor.step()
            of_actor.zero_grad()
            (critic(x)[:, 0] - 5 * x[:, 0] * x[:, 1]).square().mean().backward()
            of_critic.step()
    assert sg.open_run(watch.run).findings()[0].cause == "missing-zero-grad"


class Flow(nn.Module):
    """Returns its loss itself, as models that a trainer calls do."""

    def __init__(self, gain):
        super().__init__()
        self.rnn, self.out = nn.RNN(2, 48, nonlinearity="relu", batch_first=True), nn.Linear(48, 1)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain)

    def forward(self, x, y):
        told = self.out(self.rnn(x)[1][-1])
        return {"loss": (told - y).square().mean(), "told": told}


@pytest.mark.parametrize(("gain", "cause"), [(1.8, "recurrent-gain"), (0.9, None)])
def test_a_clip_that_makes_zeros_of_gradients_hides_nothing(gain, cause, tmp_path):
    """Their norm overflows, and what is divided by infinity is zero: no step is made, and no number is bad."""
    torch.manual_seed(0)
    net = Flow(gain)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    with sg.watch(net, optimizer, record=tmp_path) as watch:
        for step in range(80):
            torch.manual_seed(step)
            x = torch.randn(32, 110, 2)
            optimizer.zero_grad()
            net(x, x[:, -5:, 0].mean(1, keepdim=True))["loss"].backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
    found = sg.open_run(watch.run)
    assert [each.cause for each in found.findings()[:1]] == ([] if cause is None else [cause])
    if cause is not None:
        assert found.main.steps().grad_norm.max() == 0.0


def test_how_far_the_first_step_went_is_known_after_a_restart():
    """Whether steps have replaced the weights is asked long after them."""
    weight = torch.ones(4, 4)
    sampler = Sampler([weight])
    sampler.begin()
    weight.mul_(1.5)
    sampler.end(0)
    resumed = Sampler([weight])
    resumed.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert resumed.first_ratios.tolist() == sampler.first_ratios.tolist() == [0.5]


def test_what_half_precision_has_rounded_away_is_known_after_a_restart():
    weight = torch.ones(4, 4, dtype=torch.bfloat16)
    weight.grad = torch.ones_like(weight)
    sampler = Sampler([weight])
    sampler.begin()
    weight[0].mul_(1.5)
    sampler.end(0)
    resumed = Sampler([weight])
    resumed.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert resumed.rounded_away == sampler.rounded_away == 0.75
