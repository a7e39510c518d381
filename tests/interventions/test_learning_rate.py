"""A lower learning rate, and one that rises."""

import math

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, rows, with_remedy

OPTIMIZERS = {
    "sgd": lambda params, lr: torch.optim.SGD(params, lr=lr),
    "momentum": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9, weight_decay=1e-3),
    "adam": lambda params, lr: torch.optim.Adam(params, lr=lr),
    "adamw": lambda params, lr: torch.optim.AdamW(params, lr=torch.tensor(lr), fused=True),
    "rmsprop": lambda params, lr: torch.optim.RMSprop(params, lr=lr),
}


def trained(make, lr, steps=20, schedule=None):
    model = perceptron()
    optimizer = make(model.parameters(), lr)
    scheduler = None if schedule is None else torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    losses = []
    for step in range(steps):
        losses += fitted(model, optimizer, rows, 1)
        if scheduler is not None:
            scheduler.step()
            assert scheduler.get_last_lr() == [lr * schedule(step + 1)], "what the script sees is its own rate"
    return losses


def test_a_rate_beyond_the_limit():
    def training():
        model = perceptron()
        return fitted(model, torch.optim.SGD(model.parameters(), lr=2.0), rows, 60)

    assert lost(bare(training))
    assert end(with_remedy(training, "lower-learning-rate", factor=0.03)) < 0.15


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("factor", [0.5, 0.125])
def test_it_is_the_training_with_that_rate(name, factor):
    """To the last bit."""
    wanted = bare(lambda: trained(OPTIMIZERS[name], 0.02 * factor))
    assert with_remedy(lambda: trained(OPTIMIZERS[name], 0.02), "lower-learning-rate", factor=factor) == wanted


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_schedule_keeps_its_shape(name):
    def schedule(step):
        return 1 / (1 + step)

    wanted = bare(lambda: trained(OPTIMIZERS[name], 0.0078125, schedule=schedule))
    assert (
        with_remedy(lambda: trained(OPTIMIZERS[name], 0.0625, schedule=schedule), "lower-learning-rate", factor=0.125)
        == wanted
    )


def test_lbfgs_without_a_line_search():
    def training():
        x, y = rows()
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = torch.optim.LBFGS(model.parameters(), lr=8.0, max_iter=4)
        losses = []

        def closure():
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            return loss

        for _ in range(15):
            losses.append(float(optimizer.step(closure).detach()))
        return losses

    assert lost(bare(training))
    assert end(with_remedy(training, "lower-learning-rate", factor=0.1)) < 0.05


def by_hand(lr, through, passes=1, steps=30):
    """A perceptron of raw tensors; `through` says how its gradients come."""
    weights = [(torch.randn(4, 16) / 2).requires_grad_(), (torch.randn(16, 1) / 4).requires_grad_()]
    losses = []
    for _ in range(steps):
        for _ in range(passes):
            x, y = rows()
            loss = (torch.tanh(x @ weights[0]) @ weights[1] - y).square().mean()
            grads = torch.autograd.grad(loss, weights) if through == "grad" else loss.backward()
            losses.append(float(loss.detach()))
        with torch.no_grad():
            if through == "fresh":
                weights = [(p - lr * p.grad).requires_grad_() for p in weights]
            else:
                for p, grad in zip(weights, grads or [p.grad for p in weights], strict=True):
                    p -= lr * grad
                    p.grad = None
    return losses


@pytest.mark.parametrize("through", ["backward", "grad", "fresh"])
def test_by_hand_it_is_the_training_with_that_rate(through):
    wanted = bare(lambda: by_hand(0.125 * 4.0, through))
    assert lost(bare(lambda: by_hand(40.0, through))) or end(bare(lambda: by_hand(40.0, through))) > 1
    assert with_remedy(lambda: by_hand(4.0, through), "lower-learning-rate", factor=0.125) == wanted


def test_by_hand_gradients_may_be_accumulated():
    """Each part is made smaller once, however often the sum is added to."""
    wanted = bare(lambda: by_hand(0.0625, "backward", passes=4))
    assert with_remedy(lambda: by_hand(0.5, "backward", passes=4), "lower-learning-rate", factor=0.125) == wanted


def test_by_hand_a_lower_rate_clears_no_gradients():
    """What only piles up more slowly is not mended: else a lower rate were proven for a forgotten zero_grad."""
    w = torch.zeros(2, requires_grad=True)
    with Applied([intervention_for("lower-learning-rate", factor=0.5)]):
        for _ in range(3):
            w.sum().backward()
    assert w.grad.tolist() == [1.5, 1.5]


def steep():
    """Two linear layers with large weights: steep at first, and easy once they have come down."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Linear(16, 1))
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(4.0)
    return fitted(model, torch.optim.SGD(model.parameters(), lr=0.05), rows, 150)


def test_a_warm_up_gets_over_a_steep_start():
    assert lost(bare(steep))
    assert end(with_remedy(steep, "warm-up")) < 0.3


def test_a_warm_up_is_over_one_day():
    """From step 4 on the rate is the script's own."""
    seen = []

    def training():
        p = nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.SGD([p], lr=1.0)
        for _ in range(6):
            before = float(p.detach())
            p.grad = torch.ones(())
            optimizer.step()
            seen.append(before - float(p.detach()))
        return seen

    with_remedy(training, "warm-up", steps=3)
    assert seen == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("two", [False, True])
def test_by_hand_a_warm_up_goes_on_whatever_is_trained_in_turns(two):
    """Two nets in turns each have their own; leaves that are made anew at each step are still the same training."""
    one, other = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    steps = []
    with Applied([intervention_for("warm-up", steps=3)]):
        for _ in range(5):
            one = one.detach().clone().requires_grad_()
            one.sum().backward()
            steps.append(float(one.grad[0]))
            if two:
                other.grad = None
                other.sum().backward()
                assert float(other.grad[0]) == steps[-1]
    assert steps == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_a_step_that_raises_leaves_nothing_lowered():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def closure():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Applied([intervention_for("lower-learning-rate")]):
        optimizer.step(closure)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_an_optimizer_that_finds_its_own_rate_is_left_alone():
    model = nn.Linear(2, 1)
    applied = intervention_for("lower-learning-rate")
    with Applied([applied]):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        optimizer.param_groups[0]["d"] = 1.0  # Prodigy's
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert not applied.times


@pytest.mark.parametrize("tensor", [False, True])
def test_several_lower_rates_are_put_back_whoever_goes_first(tensor):
    """To the last bit, at every step; together they are the product."""
    seen = []
    before = Applied([intervention_for("lower-learning-rate", factor=0.5)])
    with Applied([intervention_for("warm-up", steps=1), intervention_for("lower-learning-rate", factor=0.5)]):
        before.install()
        p = nn.Parameter(torch.zeros(()))
        inside = torch.optim.Adam([p], lr=torch.tensor(0.3) if tensor else 0.3, fused=tensor)
        inside.register_step_pre_hook(lambda optimizer, *_: seen.append(float(optimizer.param_groups[0]["lr"])))
        for _ in range(3):
            p.grad = torch.ones(())
            inside.step()
            assert float(inside.param_groups[0]["lr"]) == float(torch.tensor(0.3) if tensor else 0.3)
        before.remove()
    assert seen == pytest.approx([0.3 / 8, 0.3 / 4, 0.3 / 4])


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "rmsprop"])
def test_with_an_end_it_falls_by_half_a_cosine(name):
    def schedule(step):
        return min(1.0, (step + 1) / 6) * (0.5 + 0.5 * math.cos(math.pi * max(0, step - 5) / 15))

    wanted = bare(lambda: trained(OPTIMIZERS[name], 0.02, steps=25, schedule=schedule)[:20])
    warmed = with_remedy(lambda: trained(OPTIMIZERS[name], 0.02, steps=25), "warm-up", steps=5, total=20)
    assert warmed[:20] == pytest.approx(wanted, rel=1e-4)
    assert len(set(warmed[21:])) > 1, "batches differ"
