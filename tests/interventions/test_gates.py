"""Gates of hand-written cells that forget, found by trying."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from steadygrad._tap import is_quiet, quiet
from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.gates import open_gates_

from .runs import bare, end, under

STEPS = 40


class Minimal(nn.Module):
    """One gate: open, it remembers."""

    def __init__(self, bias, shut_remembers=False, table=None):
        super().__init__()
        self.embed = table
        self.gate, self.cand = nn.Linear(3 + 8, 8), nn.Linear(3 + 8, 8)
        nn.init.constant_(self.gate.bias, bias)
        self.read = nn.Linear(8, 2)
        self.shut_remembers = shut_remembers

    def forward(self, x):
        x = x if self.embed is None else self.embed(x)
        h = x.new_zeros(len(x), 8)
        for now in x.unbind(1):
            keep = torch.sigmoid(self.gate(torch.cat([now, h], 1)))
            keep = 1 - keep if self.shut_remembers else keep
            h = keep * h + (1 - keep) * torch.tanh(self.cand(torch.cat([now, h], 1)))
        return self.read(h)


class Gates(nn.Module):
    """An LSTM's four, stacked in one bias: the second forgets."""

    def __init__(self, bias):
        super().__init__()
        self.x2g, self.h2g = nn.Linear(3, 32), nn.Linear(8, 32, bias=False)
        nn.init.zeros_(self.x2g.bias)
        with torch.no_grad():
            self.x2g.bias[8:16] = bias
        self.read = nn.Linear(8, 2)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 8)
        for now in x.unbind(1):
            i, f, g, o = (self.x2g(now) + self.h2g(h)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.read(h)


def arriving(model, x):
    """The part of the gradient that is left at the first step."""
    x = x.clone().requires_grad_()
    model(x).square().sum().backward()
    sizes = x.grad.norm(dim=-1).mean(0)
    return float(sizes[0] / sizes[-1])


@pytest.mark.parametrize(
    ("make", "bias", "sign"),
    [
        (lambda: Minimal(-1.0), lambda model: model.gate.bias, 1),
        (lambda: Minimal(1.0, shut_remembers=True), lambda model: model.gate.bias, -1),
        (lambda: Gates(-3.0), lambda model: model.x2g.bias[8:16], 1),
    ],
    ids=["open-remembers", "shut-remembers", "stacked"],
)
def test_the_gate_that_forgets_is_found(make, bias, sign):
    torch.manual_seed(0)
    model, x = make(), torch.randn(16, STEPS, 3)
    before = arriving(model, x)
    with torch.no_grad():
        assert open_gates_(model, (x,), {}, STEPS)
    assert before < 1e-8
    assert arriving(model, x) > 1e-3
    assert (sign * bias(model) >= 0).all()
    assert bias(model).abs().max() <= math.log(STEPS)


def test_nothing_but_gates_is_changed():
    torch.manual_seed(0)
    model = Gates(-3.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        open_gates_(model, (torch.randn(16, STEPS, 3),), {}, STEPS)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"x2g.bias"}
    assert all(param.grad is None for param in model.parameters())


@pytest.mark.parametrize(
    "model", [Minimal(4.0), nn.Sequential(nn.Linear(3, 8), nn.Sigmoid(), nn.Linear(8, 2))], ids=["remembers", "no-cell"]
)
def test_what_forgets_nothing_is_left_alone(model):
    torch.manual_seed(0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        assert not open_gates_(model, (torch.randn(16, 20, 3),), {}, 20)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_tokens_are_followed_to_what_they_are_looked_up_to():
    torch.manual_seed(0)
    model = Minimal(-1.0, table=nn.Embedding(5, 3))
    with torch.no_grad():
        assert open_gates_(model, (torch.randint(5, (16, STEPS)),), {}, STEPS) == 1
    assert (model.gate.bias >= 0).all()


def test_what_comes_first_is_learned():
    """The sign of the first number, after thirty others."""

    def run():
        model = Minimal(-1.0)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        losses = []
        for _ in range(120):
            x = 0.3 * torch.randn(64, 30, 3)
            x[:, 0] = (torch.randint(0, 2, (64, 1)) * 2.0 - 1).expand(64, 3)
            loss = nn.functional.cross_entropy(model(x), (x[:, 0, 0] > 0).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert end(bare(run)) > 0.6
    losses, applied = under(run, intervention_for("chrono-init"))
    assert applied.times == 1
    assert end(losses) < 0.2


def test_a_model_of_torch_is_initialised_by_its_own_gates():
    torch.manual_seed(0)
    model = nn.GRU(3, 8, batch_first=True)
    with Applied([intervention_for("chrono-init")]) as applied:
        model(torch.randn(4, 20, 3))
    assert applied.times == 1


def test_a_trial_that_fails_leaves_no_bias_that_was_tried():
    torch.manual_seed(0)
    model = Minimal(-1.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    left = iter(range(4))

    def fails(module, args):
        if next(left, None) is None:
            raise torch.cuda.OutOfMemoryError

    model.register_forward_pre_hook(fails)
    with torch.no_grad(), pytest.raises(torch.cuda.OutOfMemoryError):
        open_gates_(model, (torch.randn(16, STEPS, 3),), {}, STEPS)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("alone", [False, True])
def test_trials_are_no_steps_of_a_script_without_an_optimizer(alone):
    """Whoever tries by differentiating is not taken for the script; not in a trial of ours either."""
    torch.manual_seed(0)
    model, x = Minimal(-1.0), torch.randn(16, STEPS, 3)
    chrono, told = intervention_for("chrono-init"), []
    process = Applied([chrono], alone=alone)
    process.on_backward = process.on_step = told.append
    with quiet() if alone else nullcontext(), process:
        output = model(x)
        assert chrono.times == 1
        assert not told
        torch.autograd.grad(output.square().mean(), list(model.parameters()))
    assert len(told) == 2, "its loss and its step"


@pytest.mark.parametrize(
    "remedy", ["chrono-init", "rescale-initialisation", "auto-initialisation", "lsuv", "orthogonal-recurrent-init"]
)
def test_whoever_watches_the_training_does_not_look_at_trials(remedy):
    torch.manual_seed(0)
    model, seen = Minimal(-1.0), []
    model.register_forward_pre_hook(lambda *_: seen.append(is_quiet()))
    with Applied([intervention_for(remedy)]):
        model(torch.randn(16, STEPS, 3))
    assert seen[:-1] == [True] * (len(seen) - 1)
    assert len(seen) > 1
    assert not seen[-1]
