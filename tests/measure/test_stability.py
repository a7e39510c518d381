"""The limits of stability, against what torch's optimizers do on quadratics on either side of them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from steadygrad.measure import preconditioner, sharpness, stability_limit, step_sharpness


def frozen_adam(params, kind=torch.optim.Adam, **options):
    """Adam whose second moments are what they are and stay so: beta2 is 1 but for rounding, the bias long gone."""
    optimizer = kind(params, betas=(options.pop("beta1", 0.9), 1 - 1e-12), **options)
    for place, param in enumerate(params):
        optimizer.state[param] = {
            "step": torch.tensor(1e15),
            "exp_avg": torch.zeros_like(param),
            "exp_avg_sq": torch.full_like(param, 4.0 + place),
        }
    return optimizer


def frozen_rmsprop(params, **options):
    optimizer = torch.optim.RMSprop(params, alpha=1 - 1e-12, **options)
    for param in params:
        state = {"step": torch.tensor(9.0), "square_avg": torch.full_like(param, 4.0)}
        if options.get("momentum"):
            state["momentum_buffer"] = torch.zeros_like(param)
        optimizer.state[param] = state
    return optimizer


OPTIMIZERS = {
    "gradient descent": lambda params, lr: torch.optim.SGD(params, lr=lr),
    "heavy ball": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9),
    "a little heavy": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.3),
    "dampened": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.8, dampening=0.5),
    "nesterov": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9, nesterov=True),
    "maximizing": lambda params, lr: torch.optim.SGD(params, lr=lr, maximize=True),
    "adam": lambda params, lr: frozen_adam(params, lr=lr),
    "adam, beta1 0.5": lambda params, lr: frozen_adam(params, lr=lr, beta1=0.5),
    "adamw": lambda params, lr: frozen_adam(params, torch.optim.AdamW, lr=lr, weight_decay=0.0),
    "rmsprop": lambda params, lr: frozen_rmsprop(params, lr=lr),
    "rmsprop, momentum": lambda params, lr: frozen_rmsprop(params, lr=lr, momentum=0.9),
}


def quadratic(seed=0):
    """A rotated quadratic in two parameters."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64)).Q
    hessian = basis @ torch.diag(torch.tensor([5.0, 3.0, 1.0, 0.5, 0.2, 0.1], dtype=torch.float64)) @ basis.T
    params = [torch.randn(n, generator=generator, dtype=torch.float64).requires_grad_() for n in (2, 4)]
    return params, lambda: torch.cat(params) @ hessian @ torch.cat(params) / 2


def growth(optimizer, loss, steps=1500):
    """How much longer the parameters are after so many steps, as a logarithm; what has grown 3000-fold is let go."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    begin = torch.cat([p.detach() for p in params]).norm().item()
    sign = -1 if optimizer.param_groups[0]["maximize"] else 1
    for _ in range(steps):
        optimizer.zero_grad()
        (sign * loss()).backward()
        optimizer.step()
        grown = math.log(max(torch.cat([p.detach() for p in params]).norm().item(), 1e-300) / begin)
        if grown > 8:
            break
    return grown


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_converge_just_below_the_limit_and_diverge_just_above(name):
    def ratio(lr):
        params, loss = quadratic()
        optimizer = OPTIMIZERS[name](params, lr)
        sign = -1 if optimizer.param_groups[0]["maximize"] else 1
        found = step_sharpness(lambda: sign * loss(), optimizer, tolerance=1e-10)
        return found, optimizer, loss

    at_one, *_ = ratio(1.0)
    edge = 1.0 / at_one.ratio.item()
    for factor in (0.98, 1.02):
        found, optimizer, loss = ratio(edge * factor)
        assert found.converged
        assert found.ratio.item() == pytest.approx(factor, rel=1e-6)
        assert found.preconditioned == ("adam" in name or "rms" in name)
        assert not found.estimated
        grown = growth(optimizer, loss)
        assert grown < -1 if factor < 1 else grown > 1


@settings(deadline=None, max_examples=10)
@given(
    rates=st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)),
    momentum=st.floats(0, 0.9),
    seed=st.integers(0, 1000),
)
def test_groups_of_different_rates_have_one_edge(rates, momentum, seed):
    def optimizer_of(params, scale):
        groups = [{"params": [p], "lr": rate * scale} for p, rate in zip(params, rates, strict=True)]
        return torch.optim.SGD(groups, momentum=momentum)

    params, loss = quadratic(seed)
    edge = 1 / step_sharpness(loss, optimizer_of(params, 1.0), tolerance=1e-10).ratio.item()
    for factor in (0.97, 1.03):
        params, loss = quadratic(seed)
        grown = growth(optimizer_of(params, edge * factor), loss, steps=400)
        # Slow directions need not have come far; what is unstable has run away.
        assert grown < 0.5 if factor < 1 else grown > 5


def test_the_formulas_are_those_of_the_papers():
    params = [torch.zeros(1, requires_grad=True)]
    sgd, adam = torch.optim.SGD, torch.optim.Adam
    assert stability_limit(sgd(params, lr=0.1)).value == pytest.approx(20)
    assert stability_limit(sgd(params, lr=0.1, momentum=0.9)).value == pytest.approx(38)
    assert stability_limit(sgd(params, lr=0.1, momentum=0.9, nesterov=True)).value == pytest.approx(3.8 / 2.8 / 0.1)
    assert stability_limit(adam(params, lr=0.1)).value == pytest.approx(380)
    assert stability_limit(torch.optim.AdamW(params, lr=torch.tensor(0.1), weight_decay=0.2)).value == pytest.approx(
        380
    )
    assert stability_limit(torch.optim.AdamW(params, weight_decay=0.2)).weight_decay == 0.2
    assert stability_limit(sgd(params, lr=0.0)).value == math.inf


def test_subclasses_and_wrappers_are_known_and_others_are_not():
    class Mine(torch.optim.SGD):
        pass

    class Wrapper(torch.optim.Optimizer):
        def __init__(self, optimizer):
            self.optimizer = optimizer

        @property
        def param_groups(self):
            return self.optimizer.param_groups

    weight = torch.ones(3, requires_grad=True)
    mine = Mine([weight], lr=0.1)
    assert stability_limit(mine).formula == "2 / lr"
    assert step_sharpness(lambda: (weight**2).sum(), Wrapper(mine)).ratio.item() == pytest.approx(0.1)
    for unknown in (torch.optim.Adagrad, torch.optim.Rprop, torch.optim.LBFGS, torch.optim.NAdam):
        optimizer = unknown([weight])
        assert stability_limit(optimizer) is None
        assert step_sharpness(lambda: (weight**2).sum(), optimizer) is None


def test_a_group_at_rest_has_no_part_and_an_optimizer_at_rest_is_stable():
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    loss = lambda: 5 * (a**2).sum() + 500 * (b**2).sum()  # noqa: E731
    groups = [{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.0}]
    found = step_sharpness(loss, torch.optim.SGD(groups))
    assert found.ratio.item() == pytest.approx(0.5)
    assert found.sharpness.item() == pytest.approx(10)
    assert step_sharpness(loss, torch.optim.SGD([a, b], lr=0.0)).ratio.item() == 0.0


def test_maximizing_measures_the_loss_that_is_descended():
    weight = torch.ones(2, requires_grad=True)
    up = torch.optim.SGD([weight], lr=0.1, maximize=True)
    assert step_sharpness(lambda: -5 * (weight**2).sum(), up).ratio.item() == pytest.approx(0.5)
    assert step_sharpness(-5 * (weight**2).sum(), up).ratio.item() == pytest.approx(0.5)
    groups = [{"params": [weight], "maximize": True}, {"params": [torch.ones(1, requires_grad=True)]}]
    with pytest.raises(ValueError, match="some parameter groups maximize"):
        step_sharpness(lambda: (weight**2).sum(), torch.optim.SGD(groups, lr=0.1))


def test_the_preconditioner_is_what_adam_divides_by():
    torch.manual_seed(0)
    weights = [torch.randn(3, 2, requires_grad=True), torch.randn(4, requires_grad=True)]
    for options in ({}, {"amsgrad": True}):
        optimizer = torch.optim.Adam(weights, lr=1e-3, betas=(0.0, 0.99), **options)
        for _ in range(5):
            for weight in weights:
                weight.grad = torch.randn_like(weight)
            optimizer.step()
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        # A probe: with beta1 = 0 the next step is lr g / D, but for what g adds to v.
        for weight in weights:
            weight.grad = torch.full_like(weight, 1e-6)
        before = [weight.detach().clone() for weight in weights]
        optimizer.step()
        for weight, old, diagonal in zip(weights, before, preconditioner(optimizer), strict=True):
            assert torch.allclose((old - weight.detach()) * diagonal, torch.full_like(old, 1e-9), rtol=0.3)


def test_without_moments_and_gradients_there_is_no_preconditioner():
    with pytest.raises(ValueError, match="Adam has made no step yet"):
        preconditioner(torch.optim.Adam([torch.ones(2, requires_grad=True)]))


def test_the_estimate_neither_explodes_nor_moves_what_has_no_gradient():
    gradients = [torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]]), torch.tensor([0.0, 3.0]), torch.zeros(2, 2)]
    params = [torch.zeros_like(g, requires_grad=True) for g in gradients]
    matrix, vector, nothing = preconditioner(torch.optim.Adam(params), gradients)
    assert matrix.shape == (2, 3)
    assert matrix.min() >= 0.1 * gradients[0].square().mean().sqrt()
    assert vector.item() == pytest.approx(math.sqrt(4.5))
    assert nothing.isinf().all()


@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_before_the_first_step_is_near_what_the_moments_become(seed):
    """Second moments gathered over 40 batches at weights that stand still, against one batch's factored estimate."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4))
    params = list(net.parameters())
    x, y = torch.randn(40, 64, 10), torch.randint(4, (40, 64))
    loss = lambda i: nn.functional.cross_entropy(net(x[i]), y[i])  # noqa: E731
    optimizer = torch.optim.Adam(params, lr=1e-3)
    estimated = step_sharpness(lambda: loss(0), optimizer)
    assert estimated.estimated
    optimizer.param_groups[0]["lr"] = 0.0
    for i in range(40):
        optimizer.zero_grad()
        loss(i).backward()
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 1e-3
    gathered = step_sharpness(lambda: loss(0), optimizer)
    assert not gathered.estimated
    assert 0.5 < estimated.ratio.item() / gathered.ratio.item() < 2.0
    # What the square of each element says instead.
    diagonal = [g.abs() + 1e-8 for g in torch.autograd.grad(loss(0), params)]
    noisy = sharpness(lambda: loss(0), params, preconditioner=diagonal).value / gathered.limit
    assert noisy.item() > 3 * gathered.ratio.item()
