"""Steps that are made again and again, made smaller until nothing runs away."""

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.reparametrised import Scaled
from steadygrad.interventions.taming import tame_

from .runs import bare, end, fitted, lost, under

RESCALE = "rescale-initialisation"


class Step(nn.Module):
    """A state and how it changes, for a script that goes on from what it gets."""

    def __init__(self, dt):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2))
        self.dt = dt

    def forward(self, s):
        return s + self.dt * self.net(s)


class Unrolled(nn.Module):
    """The same within one call, with an input at each step."""

    def __init__(self, gain, steps=30):
        super().__init__()
        self.enter, self.cell, self.read = nn.Linear(2, 16), nn.Linear(16, 16), nn.Linear(16, 3)
        self.gain, self.steps = gain, steps

    def forward(self, start):
        h = self.enter(start)
        for _ in range(self.steps):
            h = h + self.gain * nn.functional.elu(self.cell(h))
        return self.read(h)


def test_of_a_map_the_last_layer_is_meant():
    torch.manual_seed(0)
    model, x = Step(dt=50.0), torch.randn(16, 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors, scale = tame_(model, (x,), {}, "")
    assert {id(each) for each in tensors} == {id(each) for each in model.net[2].parameters()}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "only asked"
    with torch.no_grad():
        for each in tensors:
            each.mul_(scale)
        state = x
        for _ in range(30):
            state = model(state)
    assert (state - x).norm() < 2 * x.norm()
    assert scale > 1e-4, "no smaller than it has to be"


def test_of_a_model_that_unrolls_itself_what_it_uses_again_is_meant():
    torch.manual_seed(0)
    model, x = Unrolled(gain=2.0), torch.randn(16, 2)
    tensors, scale = tame_(model, (x,), {}, "")
    assert {id(each) for each in tensors} == {id(each) for each in model.cell.parameters()}
    assert 0 < scale < 1


@pytest.mark.parametrize(
    ("model", "args"),
    [
        (Step(dt=0.01), (torch.randn(16, 2),)),
        (Unrolled(gain=0.02), (torch.randn(16, 2),)),
        (nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 3)), (torch.randn(16, 2),)),
        (nn.Linear(2, 2), (torch.full((4, 2), torch.nan),)),
    ],
    ids=["small-steps", "small-gain", "nothing-again", "nan"],
)
def test_what_does_not_run_away_is_left_alone(model, args):
    assert tame_(model, args, {}, "") is None


def test_states_that_stay_bounded_may_still_run_away_from_each_other():
    """A chaotic map: its outputs never leave [-1, 1], and its gradient explodes all the same."""

    class Chaotic(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(1, 1, bias=False)
            nn.init.constant_(self.lin.weight, 4.0)

        def forward(self, x):
            return torch.sin(x + self.lin(x))

    torch.manual_seed(0)
    found = tame_(Chaotic(), (torch.rand(64, 1),), {}, "")
    assert found is not None
    assert found[1] <= 0.25


def test_a_rollout_learns_as_if_its_step_had_been_small():
    """The script's constant is a thousand times too large; weights of a natural size train as they would without it."""

    def rollout(dt):
        def run():
            model = Step(dt)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
            losses = []
            for _ in range(80):
                s = torch.rand(32, 2) * 2 - 1
                states, wanted, now = [], [], s
                for _ in range(20):
                    s = model(s)
                    now = torch.stack([now[:, 0] + 0.1 * now[:, 1], now[:, 1] - 0.1 * now[:, 0]], 1)
                    states.append(s)
                    wanted.append(now)
                loss = (torch.stack(states) - torch.stack(wanted)).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses

        return run

    assert lost(bare(rollout(100.0)))
    losses, applied = under(rollout(100.0), intervention_for(RESCALE))
    assert applied.times
    assert end(losses) < 0.2 * losses[0]


@pytest.mark.parametrize(("std", "natural"), [(None, True), (20.0, False)])
def test_weights_of_a_natural_size_train_as_they_were(std, natural):
    """What pins them is a constant of the script. Large weights are themselves to blame, and stay small."""

    class Steep(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 8)
            if std:
                nn.init.normal_(self.lin.weight, std=std)

        def forward(self, x):
            return torch.tanh((1.0 if std else 300.0) * self.lin(x))

    torch.manual_seed(0)
    model, x = Steep(), torch.randn(64, 4)
    before = model.lin.weight.detach().clone()
    applied = intervention_for(RESCALE, "lin")
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with Applied([applied], steps=False) as process:
        process.adopt(optimizer)
        model(x).square().mean().backward()
        used = model.lin.weight.detach().clone()
        process.before_step(optimizer)
        trained = model.lin.weight.detach().clone()
        process.after_step(optimizer)
    assert used.norm() < 0.1 * before.norm()
    torch.testing.assert_close(trained, before if natural else used)
    assert torch.equal(model.lin.weight, used), "a step that is lost leaves them to the last bit"


class Squashed(nn.Module):
    def __init__(self, slope):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.slope = slope

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(self.slope * layer(x))
        return x


def test_a_constant_before_a_nonlinearity_is_taken_back_exactly():
    """In every layer, and the training is the one without it. The finding names one of them."""

    def training(slope):
        def run():
            x = torch.randn(64, 4)
            model = Squashed(slope)
            return fitted(model, torch.optim.Adam(model.parameters(), lr=1e-2), lambda step: (x, x.sin()), 40)

        return run

    wanted = bare(training(1.0))
    losses, applied = under(training(500.0), intervention_for(RESCALE, "layers.1"))
    assert applied.times
    assert losses == pytest.approx(wanted, rel=1e-2)


@pytest.mark.parametrize("shared", [False, True], ids=["two-tables", "one-table"])
def test_attention_that_a_constant_has_pinned(shared):
    class Recall(nn.Module):
        def __init__(self):
            super().__init__()
            self.keys = nn.Embedding(8, 16)
            self.queries = self.keys if shared else nn.Embedding(8, 16)
            self.values = nn.Embedding(8, 4)

        def forward(self, keys, query):
            logits = 30.0 * self.queries(query) @ self.keys(keys).transpose(1, 2)
            return torch.softmax(logits, -1) @ self.values(keys)

    torch.manual_seed(0)
    model = Recall()
    batch = torch.randint(8, (32, 6)), torch.randint(8, (32, 1))
    before = [param.detach().clone() for param in model.parameters()]
    applied = intervention_for(RESCALE, "keys" if shared else "queries")
    with Applied([applied]):
        model(*batch)
        changed = [not torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True)]
        logits = 30.0 * model.queries(batch[1]) @ model.keys(batch[0]).transpose(1, 2)
    assert changed == ([False, False] if shared else [True, True, False]), "a table that is used twice is left alone"
    spread = logits.amax(-1) - logits.amin(-1)
    assert shared or 2 < spread.max() < 12


@pytest.mark.parametrize("scales", [(0.3, 0.7), (0.1, 0.9, 0.37)])
def test_weights_that_are_scaled_twice_are_left_to_the_last_bit(scales):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(200, 200))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    applied = intervention_for(RESCALE)
    with torch.no_grad():
        applied.layers += [Scaled([weight], scale) for scale in scales]
    before = weight.detach().clone()
    for _ in range(10):
        applied.before_step(optimizer)
        with torch.no_grad():
            applied.after_step(optimizer)
    assert torch.equal(weight, before), "ten steps were lost"
