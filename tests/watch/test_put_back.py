"""Weights that somebody puts back between steps, again and again: told of where all that was gained is lost."""

import copy

import pytest
import torch
from torch import nn

import steadygrad as sg

from .regression import data, net, train

EVERY = 12


class Averaged:
    """Averaged weights that are swapped in for an evaluation."""

    def __init__(self, model, decay=0.999, *, swap_out=False):
        self.average, self.decay, self.swap_out = copy.deepcopy(model.state_dict()), decay, swap_out

    def __call__(self, step, model):
        with torch.no_grad():
            for name, value in model.state_dict().items():
                self.average[name].lerp_(value, 1 - self.decay)
        if step % EVERY == EVERY - 1:
            own = copy.deepcopy(model.state_dict())
            model.load_state_dict(self.average)
            if self.swap_out:
                model.load_state_dict(own)


class Lookahead:
    """Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, 2019."""

    def __init__(self, model, part=0.5):
        self.slow, self.part = copy.deepcopy(model.state_dict()), part

    def __call__(self, step, model):
        if step % EVERY == EVERY - 1:
            with torch.no_grad():
                for name, value in model.state_dict().items():
                    self.slow[name].lerp_(value, self.part)
            model.load_state_dict(self.slow)


class Best:
    """The best weights so far, taken up again where the loss is worse."""

    def __init__(self, model):
        self.best, self.loss = copy.deepcopy(model.state_dict()), float("inf")

    def __call__(self, step, model):
        if step % EVERY == EVERY - 1:
            with torch.no_grad():
                x, y = batch(10_000)
                loss = float(nn.functional.mse_loss(model(x), y))
            if loss < self.loss:
                self.best, self.loss = copy.deepcopy(model.state_dict()), loss
            else:
                model.load_state_dict(self.best)


class Clamped:
    """Arjovsky et al., Wasserstein GAN, 2017: weights are kept in a box."""

    def __init__(self, model, every=1):
        self.every = every

    def __call__(self, step, model):
        if step % self.every == 0:
            with torch.no_grad():
                for param in model.parameters():
                    param.clamp_(-0.1, 0.1)


class Federated:
    """McMahan et al., Communication-efficient learning, 2017: the mean of this client and of others goes on."""

    def __init__(self, model):
        self.others = [copy.deepcopy(model) for _ in range(3)]
        self.number = 0

    def __call__(self, step, model):
        if step % EVERY != EVERY - 1:
            return
        for other in self.others:
            optimizer = torch.optim.SGD(other.parameters(), lr=0.01)
            for _ in range(EVERY):
                self.number += 1
                x, y = batch(20_000 + self.number)
                optimizer.zero_grad()
                nn.functional.mse_loss(other(x), y).backward()
                optimizer.step()
        with torch.no_grad():
            for params in zip(model.parameters(), *(other.parameters() for other in self.others), strict=True):
                mean = torch.stack([param.detach() for param in params]).mean(0)
                for param in params:
                    param.copy_(mean)


class Between:
    """What is done after each step, as a scheduler is called."""

    def __init__(self, between, model):
        self.between, self.model, self.number = between(model), model, 0

    def step(self):
        self.between(self.number, self.model)
        self.number += 1


def batch(number):
    return data(number, width=12)


def watched(between, tmp_path, *, mode="protect", optimizer=torch.optim.Adam, **options):
    model = net(12)
    optimizer = optimizer(model.parameters(), **{"lr": 3e-3, **options})
    schedule = Between(between, model)
    _, watch = train(model, optimizer, 400, tmp_path, mode=mode, batch=batch, schedule=schedule)
    return sg.open_run(watch.run)


@pytest.mark.parametrize("mode", ["observe", "protect", "repair"])
@pytest.mark.parametrize(
    ("optimizer", "options"), [(torch.optim.Adam, {"lr": 0.01}), (torch.optim.SGD, {"momentum": 0.9, "lr": 0.01})]
)
def test_averages_that_stay_in_the_model_are_told_of(mode, optimizer, options, tmp_path):
    run = watched(Averaged, tmp_path, mode=mode, optimizer=optimizer, **options)
    assert [alarm.detector for alarm in run.main.alarms()] == ["undone-steps"]
    found = run.findings()[0]
    assert (found.cause, found.where) == ("corrupt-state", "weights")
    assert run.verdict == "unstable"


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(lambda model: Averaged(model, swap_out=True), id="swapped out again"),
        pytest.param(lambda model: Averaged(model, decay=0.5), id="an average that follows"),
        pytest.param(Lookahead, id="Lookahead"),
        pytest.param(lambda model: Lookahead(model, 0.2), id="slow Lookahead"),
        pytest.param(Best, id="best weights so far"),
        pytest.param(Clamped, id="a box"),
        pytest.param(lambda model: Clamped(model, 5), id="a box now and then"),
        pytest.param(Federated, id="federated mean"),
    ],
)
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.RMSprop])
def test_what_leads_on_is_not(between, optimizer, tmp_path):
    run = watched(between, tmp_path, optimizer=optimizer)
    assert not list(run.main.alarms())
    assert run.verdict == "healthy"


def test_steps_of_an_optimizer_without_a_state_are_those_of_a_search(tmp_path):
    """Reptile's inner steps: what they gain on one task is left behind, and nothing of it lies in the optimizer."""
    run = watched(Averaged, tmp_path, optimizer=torch.optim.SGD, lr=0.01)
    assert not list(run.main.alarms())
