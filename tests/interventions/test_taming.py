"""Steps that are made again and again, made smaller until nothing runs away."""

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.part import Part
from steadygrad.interventions.reparametrised import Scaled
from steadygrad.interventions.taming import AGAIN, tame_

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
    part, scale, *_ = tame_(model, (x,), {}, "", AGAIN)
    assert {id(each) for each in part.tensors} == {id(each) for each in model.net[2].parameters()}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "only asked"
    with torch.no_grad():
        for each in part.tensors:
            each.mul_(scale)
        state = x
        for _ in range(30):
            state = model(state)
    assert (state - x).norm() < 2 * x.norm()
    assert scale > 1e-4, "no smaller than it has to be"


def test_of_a_model_that_unrolls_itself_what_it_uses_again_is_meant():
    torch.manual_seed(0)
    model, x = Unrolled(gain=2.0), torch.randn(16, 2)
    part, scale, *_ = tame_(model, (x,), {}, "")
    assert {id(each) for each in part.tensors} == {id(each) for each in model.cell.parameters()}
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
    assert tame_(model, args, {}, "", AGAIN) is None


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
    found = tame_(Chaotic(), (torch.rand(64, 1),), {}, "", AGAIN)
    assert found is not None
    assert found[1] <= 0.25


class Diagonal(nn.Module):
    """A state space whose rates are a parameter that no product is made with, and have the wrong sign."""

    def __init__(self, rate, sign=1.0):
        super().__init__()
        self.log_dt = nn.Parameter(torch.full((8,), -2.0))
        self.rate = nn.Parameter(torch.linspace(0.1, rate, 8))
        self.enter = nn.Parameter(torch.randn(8))
        self.read, self.sign = nn.Linear(9, 1), sign

    def forward(self, u):
        dt = self.log_dt.exp()
        decay, x, outs = torch.exp(self.sign * dt * self.rate.abs()), torch.zeros(len(u), 8), []
        for k in range(u.shape[1]):
            x = decay * x + dt * self.enter * u[:, k : k + 1]
            outs.append(self.read(torch.cat([x, u[:, k : k + 1]], 1)))
        return torch.cat(outs, 1)


@pytest.mark.parametrize(("where", "name"), [("rate", "rate"), ("log_dt", "log_dt"), ("", "log_dt")])
def test_of_a_diagonal_state_space_the_rates_are_meant_or_its_time_steps(where, name):
    """No product is made with either; the one that is named comes first."""
    torch.manual_seed(0)
    model, x = Diagonal(2.0), torch.randn(16, 128)
    part, scale, _, shift = tame_(model, (x,), {}, where, 128)
    assert [each is getattr(model, name) for each in part.tensors] == [True]
    assert (scale < 1.0) != (shift > 0.0)
    with torch.no_grad():
        wild = model(x).square().mean()
        part.tensors[0].mul_(scale).sub_(shift)
        calm = model(x).square().mean()
    assert calm < 10 < 1e6 < wild
    assert scale > 1e-3, "no smaller than it has to be"


class Logarithmic(nn.Module):
    """Two layers whose rates are logarithms: no multiple of them is slow, but what is taken away makes them so."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.ParameterDict({"log_rate": torch.arange(1.0, 9.0).log()}) for _ in range(2))

    def forward(self, u):
        for layer in self.layers:
            growth, x, outs = torch.exp(0.1 * layer["log_rate"].exp()), torch.zeros(len(u), 8), []
            for k in range(u.shape[1]):
                x = growth * x + 0.1 * u[:, k : k + 1]
                outs.append(x.mean(1))
            u = torch.stack(outs, 1)
        return u


def test_from_logarithms_of_rates_something_is_taken_away_in_each_layer():
    torch.manual_seed(0)
    model, x = Logarithmic(), torch.randn(16, 100)
    found = tame_(model, (x,), {}, "layers.0", 100)
    assert [id(each) for each in found.part.tensors] == [id(each) for each in model.parameters()]
    assert found.scale == 1.0
    assert found.shift > 0.0
    with torch.no_grad():
        assert not model(x).abs().max() < 1e6
        for each in model.parameters():
            each -= found.shift
        assert model(x).abs().max() < 100


class Softplus(nn.Module):
    """Layers whose rates lie beside linear ones that multiply, and are to be between 0 and 1."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Module() for _ in range(2))
        for block in self.blocks:
            block.rate = nn.Parameter(torch.linspace(-2.0, 0.9, 8))
            block.inward, block.outward = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, u):
        for block in self.blocks:
            decay, driven, x, outs = nn.functional.softplus(block.rate), block.inward(u), torch.zeros(len(u), 8), []
            for k in range(u.shape[1]):
                x = decay * x + driven[:, k]
                outs.append(x)
            u = u + block.outward(torch.stack(outs, 1))
        return u


def test_rates_beside_layers_that_multiply_are_meant_too():
    torch.manual_seed(0)
    model, x = Softplus(), torch.randn(4, 90, 8)
    found = tame_(model, (x,), {}, "blocks.0.rate", 90)
    assert [id(each) for each in found.part.tensors] == [id(block.rate) for block in model.blocks]
    with torch.no_grad():
        assert not model(x).abs().max() < 1e6
        for block in model.blocks:
            block.rate.mul_(found.scale).sub_(found.shift)
        assert model(x).abs().max() < 100


def test_a_sound_diagonal_state_space_is_left_alone():
    torch.manual_seed(0)
    assert tame_(Diagonal(2.0, sign=-1.0), (torch.randn(16, 128),), {}, "rate", 128) is None


@pytest.mark.parametrize("options", [{"steps": 20}, {}], ids=["known", "seen"])
def test_a_rollout_learns_as_if_its_step_had_been_small(options):
    """The script's constant is a thousand times too large; weights of a natural size train as they would without it.

    That the script goes on from what it gets is told by the finding, or seen in the first step, which is left out.
    """

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
    losses, applied = under(rollout(100.0), intervention_for(RESCALE, **options))
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


class Denoiser(nn.Module):
    """Images to images, once: what it makes is never what it is given next."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 3, padding=1))

    def forward(self, x):
        return x - 3.0 * self.net(x)


@pytest.mark.parametrize("where", ["", "net.0", "elsewhere"])
def test_a_shape_that_stays_is_no_state(where):
    torch.manual_seed(0)
    model = Denoiser()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    before = [param.detach().clone() for param in model.parameters()]
    applied = intervention_for(RESCALE, where)
    with Applied([applied]):
        for _ in range(3):
            model(torch.randn(4, 1, 16, 16)).square().mean().backward()
            optimizer.step()
        assert not model._forward_hooks
    assert not applied.times
    assert all(map(torch.equal, model.parameters(), before))


@pytest.mark.parametrize("where", ["elsewhere", "net.elsewhere", "other.3"])
@pytest.mark.parametrize("make", [lambda: Step(dt=50.0), lambda: Unrolled(gain=2.0)], ids=["map", "unrolled"])
def test_a_finding_about_another_layer_tames_none(make, where):
    torch.manual_seed(0)
    assert tame_(make(), (torch.randn(16, 2),), {}, where, AGAIN) is None


class Fed(nn.Module):
    """A state to which each step adds what two layers make together, one of them of what the model has said itself."""

    def __init__(self, gain):
        super().__init__()
        self.hear, self.mix, self.say = nn.Linear(2, 32), nn.Linear(32, 32), nn.Linear(32, 2)
        self.gain = gain

    def forward(self, seen):
        h, said = seen.new_zeros(len(seen), 32), seen
        for _ in range(40):
            h = h + self.gain * nn.functional.elu(self.mix(h) + self.hear(said))
            said = self.say(h)
        return said


def test_what_is_added_up_before_it_is_multiplied_again_is_one_step():
    torch.manual_seed(0)
    model = Fed(1.0)
    part, scale, *_ = tame_(model, (torch.randn(16, 2),), {}, "mix")
    assert {id(each) for each in part.tensors} == {
        id(each) for each in (*model.mix.parameters(), *model.hear.parameters())
    }
    assert 1e-3 < scale < 0.5


@pytest.mark.parametrize(("dt", "constant"), [(50.0, True), (1.0, False), (1.9, False)])
def test_only_where_a_number_is_large_a_constant_may_be_to_blame(dt, constant):
    """There weights of a natural size go on training in it; else they are made small, as their author might have."""
    torch.manual_seed(0)
    model, x = Step(dt), torch.randn(16, 2)
    with torch.no_grad():
        model.net[2].weight.mul_(4.0)
    tamed = tame_(model, (x,), {}, "", AGAIN)
    assert tamed.constant == constant
    applied = intervention_for(RESCALE, "", steps=AGAIN)
    with Applied([applied]):
        model(x)
        assert len(applied.layers) == (1 if constant else 0)


def test_a_state_to_which_each_step_adds_is_not_mended_by_an_orthogonal_matrix():
    """It stays as it was, and the remedy has found nothing to change."""
    torch.manual_seed(0)
    model, x = Fed(1.0), torch.randn(16, 2)
    before = [each.detach().clone() for each in model.parameters()]
    applied = intervention_for("orthogonal-recurrent-init", "mix")
    with Applied([applied]):
        model(x)
    assert applied.times == 0
    assert all(map(torch.equal, model.parameters(), before))


@pytest.mark.parametrize("where", ["cell", "cell.weight", "net.cell", "cell l0"])
def test_a_finding_names_a_layer_in_several_ways(where):
    torch.manual_seed(0)
    model = Unrolled(gain=2.0)
    found = tame_(model, (torch.randn(16, 2),), {}, where)
    assert found is not None
    assert {id(each) for each in found[0].tensors} == {id(each) for each in model.cell.parameters()}


def test_a_layer_that_goes_through_a_sequence_carries_nothing():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.start = nn.Linear(2, 8), nn.Parameter(torch.ones(8))

        def forward(self, x):
            return sum(9.0 * self.lin(now) for now in x.unbind(1)) + self.start

    torch.manual_seed(0)
    model, x = Reader(), torch.randn(16, 5, 2)
    assert tame_(model, (x,), {}, "") is None
    assert tame_(model, (x,), {}, "", 5) is not None, "the finding says that a state is carried on"


def test_a_sequence_that_keeps_its_shape_is_no_state():
    model = nn.Sequential()
    model.add_module("rnn", nn.RNN(4, 4, batch_first=True))
    model.forward = lambda x: x + 50.0 * model.rnn(x)[0]
    assert tame_(model, (torch.randn(8, 6, 4),), {}, "", AGAIN) is None


def test_what_a_map_is_given_beside_its_state_it_is_given_again():
    class Driven(Step):
        def forward(self, s, scale, *, shift):
            return s + scale * self.dt * self.net(s) + shift

    torch.manual_seed(0)
    model = Driven(dt=50.0)
    found = tame_(model, (torch.randn(16, 2), 1.0), {"shift": 0.01}, "", AGAIN)
    assert found is not None
    assert {id(each) for each in found[0].tensors} == {id(each) for each in model.net[2].parameters()}


def stepped(made):
    """One step of a script that calls a map again and again, and what that came to."""
    torch.manual_seed(0)
    model = Step(dt=50.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = [param.detach().clone() for param in model.parameters()]
    applied = intervention_for(RESCALE)
    with Applied([applied]):
        state = torch.randn(16, 2)
        for _ in range(4):
            state = made(model, state)
        state.square().mean().backward()
        optimizer.step()
        assert not model._forward_hooks
    changed = [not torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True)]
    return applied.times, changed


def test_a_script_that_goes_on_from_what_it_gets_is_seen_to():
    times, changed = stepped(lambda model, state: model(state))
    assert times
    assert changed == [False, False, True, True], "tamed, and no step was made of what was computed before"


def test_it_is_seen_where_there_is_no_optimizer():
    torch.manual_seed(0)
    model, applied = Step(dt=50.0), intervention_for(RESCALE)
    before = [param.detach().clone() for param in model.parameters()]
    with Applied([applied]):
        state = torch.randn(16, 2)
        for _ in range(4):
            state = model(state)
        grads = torch.autograd.grad(state.square().mean(), list(model.parameters()))
    assert applied.times
    assert not any(grad.any() for grad in grads), "the script's own lines make no step"
    assert [not torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True)][2:] == [True, True]


def test_a_script_that_does_not_is_left_alone():
    times, changed = stepped(lambda model, state: model(torch.randn(16, 2)) + 0.0 * state)
    assert not times
    assert all(changed), "by the step"


@pytest.mark.parametrize("at", [1, 2, 5, 8])
def test_what_stumbles_leaves_nothing_scaled(at):
    """In the first trial, with layers scaled down, and once what pins is known and what runs away is looked for."""
    calls = []

    class Fragile(Squashed):
        def forward(self, x):
            calls.append(x)
            if len(calls) == at:
                raise MemoryError
            return super().forward(x)

    torch.manual_seed(0)
    model = Fragile(500.0)
    before = [param.detach().clone() for param in model.parameters()]
    errors, process = [], Applied([intervention_for(RESCALE, "layers.1")])
    process.on_error = errors.append
    with process:
        model(torch.randn(64, 4))
    assert [type(each) for each in errors] == [MemoryError]
    assert all(map(torch.equal, model.parameters(), before))


@pytest.mark.parametrize("scales", [(0.3, 0.7), (0.1, 0.9, 0.37)])
def test_weights_that_are_scaled_twice_are_left_to_the_last_bit(scales):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(200, 200))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    applied = intervention_for(RESCALE)
    with torch.no_grad():
        applied.layers += [Scaled(Part([weight]), scale) for scale in scales]
    before = weight.detach().clone()
    for _ in range(10):
        applied.before_step(optimizer)
        with torch.no_grad():
            applied.after_step(optimizer)
    assert torch.equal(weight, before), "ten steps were lost"
