"""Adam's own options."""

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, perceptron, rows, under, with_remedy


def adam(**options):
    def training():
        model = perceptron()
        return fitted(model, torch.optim.Adam(model.parameters(), lr=1e-2, **options), rows, 20)

    return training


def test_another_beta2_is_the_training_with_it():
    """To the last bit."""
    assert with_remedy(adam(), "lower-beta2") == bare(adam(betas=(0.9, 0.95)))
    # One that forgets what the first moment still steps on is a slip of the pen.
    assert with_remedy(adam(betas=(0.9, 0.05)), "lower-beta2") == bare(adam(betas=(0.9, 0.95)))


def test_another_epsilon_is_the_training_with_it():
    assert with_remedy(adam(), "raise-epsilon") == bare(adam(eps=1e-4))
    assert with_remedy(adam(), "raise-epsilon", eps=0.1) == bare(adam(eps=0.1))


def test_rmsprop_forgets_sooner_too():
    def training(alpha):
        model = perceptron()
        return fitted(model, torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=alpha), rows, 20)

    assert with_remedy(lambda: training(0.99), "lower-beta2") == bare(lambda: training(0.9))


def still(**options):
    """Nearly nothing to learn, and then something: with a tiny epsilon, noise of 1e-9 is divided by itself."""

    def training():
        model = perceptron()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.03, **options)
        losses = []
        for _ in range(100):
            x, y = rows()
            loss = (model(x) - model(x).detach() - 1e-7 * torch.randn_like(y)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(sum(p.detach().square().sum() for p in model.parameters())))
        return losses

    return training


def test_updates_of_gradients_that_are_nothing():
    drifts = bare(still(eps=1e-15))
    assert drifts[-1] > 2 * drifts[0]
    losses = with_remedy(still(eps=1e-15), "raise-epsilon")
    assert losses[-1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("remedy", "options"),
    [("lower-beta2", {"betas": (0.9, 0.9)}), ("raise-epsilon", {"eps": 1e-3})],
)
def test_what_is_so_already_is_left_alone(remedy, options):
    losses, applied = under(adam(**options), intervention_for(remedy))
    assert not applied.times
    assert losses == bare(adam(**options))


def test_every_group_has_them_and_gets_its_own_back():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    with Applied([intervention_for("lower-beta2")]):
        optimizer = torch.optim.AdamW(
            [{"params": model[0].parameters(), "betas": (0.8, 0.98)}, {"params": model[1].parameters()}]
        )
        optimizer.add_param_group({"params": list(model[2].parameters())})
        assert [group["betas"] for group in optimizer.param_groups] == [(0.8, 0.95), (0.9, 0.95), (0.9, 0.95)]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.8, 0.98), (0.9, 0.999), (0.9, 0.999)]
    assert optimizer.defaults["betas"] == (0.9, 0.999)


def test_what_is_loaded_meanwhile_is_put_back_too():
    """A state dictionary brings groups of its own."""
    model = nn.Linear(2, 2)
    with Applied([intervention_for("raise-epsilon")]):
        optimizer = torch.optim.Adam(model.parameters())
        optimizer.load_state_dict(torch.optim.Adam(model.parameters()).state_dict())
        assert optimizer.param_groups[0]["eps"] == 1e-4
    assert optimizer.param_groups[0]["eps"] == 1e-8


def test_an_option_that_the_script_changes_meanwhile_is_its_own():
    model = nn.Linear(2, 2)
    with Applied([intervention_for("raise-epsilon")]):
        optimizer = torch.optim.Adam(model.parameters())
        optimizer.param_groups[0]["eps"] = 1e-6
    assert optimizer.param_groups[0]["eps"] == 1e-6


def test_a_model_trains_with_the_lower_one():
    assert end(with_remedy(adam(), "lower-beta2")) < 0.5


def quasi_newton(**options):
    """A fit on which whole steps of LBFGS go astray."""

    def training():
        model = perceptron(activation=nn.Tanh)
        optimizer = torch.optim.LBFGS(model.parameters(), **options)
        x = 3 * torch.randn(64, 4)
        y = x[:, :1] * x[:, 1:2] + x[:, 2:3].sin()
        losses = []

        def closure():
            optimizer.zero_grad()
            loss = (model(x) - y).square().mean()
            loss.backward()
            return loss

        for _ in range(15):
            losses.append(float(optimizer.step(closure).detach()))
        return losses

    return training


def test_lbfgs_with_a_line_search_is_the_training_with_it():
    assert with_remedy(quasi_newton(lr=1.0), "strong-wolfe") == bare(
        quasi_newton(lr=1.0, line_search_fn="strong_wolfe")
    )


def test_one_that_searches_already_and_other_optimizers_are_left_alone():
    for training in (quasi_newton(line_search_fn="strong_wolfe"), adam()):
        losses, applied = under(training, intervention_for("strong-wolfe"))
        assert applied.times == 0
        assert losses == bare(training)
