"""What every intervention promises, asked of every intervention."""

import functools
import math

import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks
from torch.overrides import _len_torch_function_stack

from steadygrad.interventions import INTERVENTIONS, Applied, Intervention, intervention_for
from steadygrad.interventions.targets import TARGET_LOSSES
from steadygrad.remedies import REMEDIES

from .healthy import HEALTHY, hooks_of, train

each = pytest.mark.parametrize("remedy", [kind.remedy for kind in INTERVENTIONS])
training = pytest.mark.parametrize("name", HEALTHY)


def places():
    """Everything of torch that may be another's while remedies are applied."""
    return {
        "call": nn.Module.__call__,
        "optimizer": torch.optim.Optimizer.__init__,
        "backward": torch.autograd.backward,
        "grad": torch.autograd.grad,
        "scale": torch.amp.GradScaler.scale,
        "clip_norm": torch.nn.utils.clip_grad_norm_,
        "clip_value": torch.nn.utils.clip_grad_value_,
        "autocast": torch.autocast.__init__,
        **{name: getattr(nn.functional, name) for name in TARGET_LOSSES},
        **{name: value for name, value in vars(nn.functional).items() if name.startswith("has_torch_function")},
        "modes": _len_torch_function_stack(),
        "before": len(_global_optimizer_pre_hooks),
        "after": len(_global_optimizer_post_hooks),
    }


def options_of(optimizers):
    return [
        {name: value for name, value in group.items() if name != "params"}
        for optimizer in optimizers
        for group in (*optimizer.param_groups, optimizer.defaults)
    ]


def test_the_family_is_what_the_catalogue_says_can_be_applied():
    assert sorted(kind.remedy for kind in INTERVENTIONS) == sorted(each.id for each in REMEDIES if each.outside)


@each
def test_each_says_what_it_does(remedy):
    kind = type(intervention_for(remedy))
    assert kind.__doc__
    assert kind.__doc__ != super(kind, kind).__doc__
    assert kind.remedy == remedy


@each
def test_an_unknown_option_is_refused(remedy):
    with pytest.raises(TypeError, match="has no option colour"):
        intervention_for(remedy, colour="red")


def test_what_cannot_be_applied_from_outside_is_refused():
    with pytest.raises(KeyError):
        intervention_for("residual-connections")


@pytest.mark.one_in(4)
@training
@each
def test_a_healthy_training_lives_with_it(remedy, name):
    """Nothing is raised, no weight is lost, and afterwards torch, modules and optimizers are as they were."""
    before, bare = places(), train(name)
    applied = intervention_for(remedy)
    with Applied([applied]):
        left = train(name)
    assert places() == before
    assert len(left.losses) == len(bare.losses)
    assert all(map(math.isfinite, left.losses))
    assert all(weight.isfinite().all() for weight in left.weights)
    assert not any(hooks_of(left.modules))
    assert options_of(left.optimizers) == options_of(bare.optimizers)
    if not applied.times:
        assert left.losses == bare.losses, "it says that it has changed nothing"


@training
def test_without_a_remedy_nothing_is_changed(name):
    """To the last bit: losses, weights, random numbers."""
    bare = train(name)
    random = torch.get_rng_state()
    with Applied([]):
        left = train(name)
    assert left.losses == bare.losses
    assert all(torch.equal(a, b) for a, b in zip(left.weights, bare.weights, strict=True))
    assert torch.equal(torch.get_rng_state(), random)


@each
def test_weights_that_the_script_has_used_already_can_be_differentiated(remedy):
    """A penalty that is computed before the first pass: other weights in between are no reason to raise."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.embed = nn.GRU(4, 8, batch_first=True), nn.Linear(4, 4)
            self.rec, self.read = nn.Linear(8, 8), nn.Linear(8, 2)
            self.gate = nn.Parameter(torch.full((8,), -3.0))
            with torch.no_grad():
                self.rec.weight.mul_(20.0)

        def forward(self, x):
            h = self.rnn(torch.tanh(100.0 * self.embed(x)))[0][:, -1]
            for _ in range(8):
                h = torch.sigmoid(self.gate) * h + torch.relu(self.rec(h))
            return self.read(h)

    torch.manual_seed(0)
    net, x = Net(), 50.0 + torch.randn(16, 12, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-9)
    with Applied([intervention_for(remedy, "embed" if remedy == "rescale-initialisation" else "")]) as process:
        process.adopt(optimizer)
        penalty = sum(param.square().sum() for param in net.parameters())
        early = net.embed(x).square().sum()
        (nn.functional.mse_loss(net(x), torch.randn(16, 2)) + penalty + early).backward()
        optimizer.step()


@each
def test_it_can_be_taken_away_twice(remedy):
    before = places()
    with torch.device("cpu"):  # a mode of the script's own, on the same stack
        everything = Applied([intervention_for(remedy)])
        everything.install()
        everything.remove()
        everything.remove()
        assert _len_torch_function_stack() == before["modes"] + 1
    assert places() == before


def test_several_are_taken_away_together():
    before = places()
    with Applied([intervention_for(kind.remedy) for kind in INTERVENTIONS]):
        train("mlp")
    assert places() == before


def test_it_is_taken_away_when_the_script_fails():
    before = places()
    with (
        pytest.raises(RuntimeError, match="shapes"),
        Applied([intervention_for(kind.remedy) for kind in INTERVENTIONS]),
    ):
        nn.Linear(3, 2)(torch.ones(2, 4))
    assert places() == before


def test_gradients_that_are_there_stay_there():
    """`torch.autograd.grad` writes no gradient."""
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.full((2,), 5.0)
    with Applied([intervention_for("lower-learning-rate", factor=0.5)]):
        (grad,) = torch.autograd.grad((3.0 * weight).sum(), [weight])
    assert grad.tolist() == [1.5, 1.5]
    assert weight.grad.tolist() == [5.0, 5.0]


def test_weights_that_have_been_trained_are_no_initial_weights():
    """A part that is called by itself after training, as for a validation, keeps what it has learned."""
    torch.manual_seed(0)
    encoder, head = nn.Linear(4, 4), nn.Linear(4, 1)
    model = nn.Sequential(encoder, head)
    with Applied([intervention_for("random-initialisation")]) as everything:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.randn(8, 4)
        for _ in range(2):
            model(x).square().mean().backward()
            optimizer.step()
        learned = [p.clone() for p in model.parameters()]
        encoder(x)
        nn.Sequential(encoder, nn.Tanh(), head)(x)
        assert all(torch.equal(p, was) for p, was in zip(model.parameters(), learned, strict=True))
    assert everything._interventions[0].times == 1


@pytest.mark.parametrize(
    "remedy", ["lower-learning-rate", "mean-reduction", "standardise-targets", "float32-for-this-layer"]
)
def test_several_may_come_and_go_in_any_order(remedy):
    """What is gone does nothing any more, even where it lies below what is still there."""
    before = places()
    bare = {name: train(name).losses for name in ("autograd-grad", "mlp", "bfloat16")}
    one, other = Applied([intervention_for(remedy)]), Applied([])
    one.install()
    other.install()
    assert any(train(name).losses != bare[name] for name in bare)
    one.remove()
    assert {name: train(name).losses for name in bare} == bare
    other.remove()
    assert places() == before


@each
def test_two_of_a_kind_may_come_and_go_in_any_order(remedy):
    before, bare = places(), train("bfloat16").losses
    one, other = Applied([intervention_for(remedy)]), Applied([intervention_for(remedy)])
    one.install()
    other.install()
    one.remove()
    train("bfloat16")
    other.remove()
    assert places() == before
    assert train("bfloat16").losses == bare


def test_what_others_have_put_on_top_stays():
    applied, seen = Applied([intervention_for("lower-learning-rate")]), []
    original = torch.autograd.backward
    applied.install()
    below = torch.autograd.backward

    @functools.wraps(below)
    def theirs(*args, **kwargs):
        seen.append(1)
        return below(*args, **kwargs)

    torch.autograd.backward = theirs
    try:
        applied.remove()
        assert torch.autograd.backward is theirs
        weight = torch.ones(1, requires_grad=True)
        weight.sum().backward()
        assert seen == [1]
        assert weight.grad.item() == 1.0
    finally:
        torch.autograd.backward = original


class Stumbles(Intervention):
    """Raises wherever it is asked."""

    remedy = "stumbles"

    def _raise(self, *args, **kwargs):
        raise RuntimeError("stumbled")

    optimizer_made = first_forward = forward = factor = before_clip = before_step = after_step = _raise


@pytest.mark.parametrize("name", HEALTHY)
def test_where_errors_are_told_none_of_a_remedy_reaches_the_training(name):
    bare = train(name)
    errors = []
    everything = Applied([Stumbles()])
    everything.on_error = errors.append
    with everything:
        left = train(name)
    assert left.losses == bare.losses
    assert errors
    assert all(str(error) == "stumbled" for error in errors)


class Delegates(torch.optim.SGD):
    """Makes its step by that of the class it is made of, which torch hooks as well."""

    def step(self, closure=None):
        return super().step(closure)


@each
def test_a_step_within_a_step_is_one_step(remedy):
    def losses(kind):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        x, y = 30.0 + 20.0 * torch.randn(32, 4), 500.0 * torch.randn(32, 1)
        optimizer = kind(model.parameters(), lr=1e-4)
        found = []
        with Applied([intervention_for(remedy)]):
            for _ in range(6):
                loss = nn.functional.mse_loss(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found

    assert losses(torch.optim.SGD) == losses(Delegates)


@pytest.mark.parametrize("compiled_before", [True, False])
@each
def test_what_is_compiled_stays_in_one_piece(remedy, compiled_before):
    """With `fullgraph=True` whatever of ours cannot be compiled would raise."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.randn(16, 4), torch.randn(16, 1)

    def compiled():
        return torch.compile(lambda: nn.functional.mse_loss(model(x), y), backend="eager", fullgraph=True)

    loss_of = compiled() if compiled_before else None
    with Applied([intervention_for(remedy, "0.weight")]) as applied:
        applied.adopt(optimizer)
        loss_of = loss_of or compiled()
        for _ in range(3):
            optimizer.zero_grad()
            loss_of().backward()
            optimizer.step()


def jagged():
    parts = [torch.randn(2, 4), torch.randn(3, 4)]
    weight = nn.Parameter(torch.randn(5, 4))
    nn.functional.linear(torch.nested.nested_tensor(parts, layout=torch.jagged), weight)
    nn.functional.linear(torch.nested.nested_tensor(parts), weight)


def meta():
    layer = nn.Linear(4, 3, device="meta")
    (torch.empty(8, 3, device="meta") - layer(torch.empty(8, 4, device="meta"))).square().mean()


def each_row():
    weight, x, y = nn.Parameter(torch.randn(4, 3)), torch.randn(8, 4), torch.randn(8, 3)
    torch.vmap(lambda row, wanted: ((row.unsqueeze(0) @ weight - wanted) ** 2).sum())(x, y).sum().backward()


def each_gradient():
    weight, x = torch.randn(4, 3), torch.randn(8, 4)
    torch.vmap(torch.func.grad(lambda w, row: (row.unsqueeze(0) @ w).sum()), (None, 0))(weight, x)


def each_layer():
    layer = nn.Linear(4, 3)
    torch.vmap(lambda row: layer(row.unsqueeze(0)).sum())(torch.randn(8, 4)).sum().backward()


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(
    "computes", [jagged, meta, each_row, each_gradient, each_layer], ids=lambda each: each.__name__
)
@pytest.mark.parametrize(
    "remedy",
    [kind.remedy for kind in INTERVENTIONS],
)
def test_tensors_without_numbers_of_their_own_do_no_harm(remedy, computes):
    """Of a nested tensor, a meta tensor or one that stands for many there is nothing to read."""
    with Applied([intervention_for(remedy, "weight")]) as applied:
        applied.on_error = lambda error: None
        computes()
