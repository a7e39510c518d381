"""The operation that first makes a number that is not finite is named, forward or backward."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from steadygrad.measure.origin import OriginTrace


def origin_of(compute, model=None):
    model = model or nn.Linear(2, 2)
    with OriginTrace(model) as trace:
        loss = compute(model)
        trace.follow(loss)
        loss.backward()
    return trace.origin()


X = torch.tensor([[1.0, 2.0]])


def zeroed(model, x):
    return model(x) - model(x).detach()


@pytest.mark.parametrize(
    ("compute", "op", "phase"),
    [
        (lambda model: zeroed(model, X).sqrt().sum(), "sqrt", "backward"),
        (lambda model: zeroed(model, X).norm(), None, None),  # torch's own norm is safe at zero
        (lambda model: zeroed(model, X).log().sum(), "log", "loss"),
        (lambda model: (zeroed(model, X) / zeroed(model, X)).sum(), "div", "loss"),
        (lambda model: (model(X) * 1e4).exp().sum(), "exp", "loss"),
        (lambda model: (zeroed(model, X) + 1).acos().sum(), "acos", "backward"),
        (lambda model: zeroed(model, X).pow(0.5).sum(), "pow", "backward"),
        (lambda model: model(X).masked_fill(torch.ones(1, 2) > 0, -torch.inf).softmax(-1).sum(), "softmax", "loss"),
        (lambda model: F.cross_entropy(model(X), torch.tensor([1])), None, None),
    ],
)
def test_the_operation_and_the_phase(compute, op, phase):
    torch.manual_seed(0)
    found = origin_of(compute)
    assert (None, None) if found is None else (found.op, found.phase) == (op, phase)
    assert (found is None) == (op is None)


def test_a_parameter_itself_may_be_where_a_derivative_ends():
    model = nn.Linear(2, 2)
    nn.init.zeros_(model.weight)
    found = origin_of(lambda model: model(X).sum() + model.weight.square().sum().sqrt(), model)
    assert (found.op, found.phase) == ("sqrt", "backward")


def test_a_mask_of_minus_infinity_is_meant():
    def masked(model):
        logits = model(X).masked_fill(torch.tensor([[True, False]]), -torch.inf)
        return F.cross_entropy(logits, torch.tensor([1]))

    assert origin_of(masked) is None


def test_the_module_is_named_and_no_hook_stays():
    class Root(nn.Module):
        def forward(self, x):
            return (x - x.detach()).sqrt()

    model = nn.Sequential(nn.Linear(2, 2), Root())
    found = origin_of(lambda model: model(X).sum(), model)
    assert (found.where, found.op, found.phase) == ("1", "sqrt", "backward")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_which_samples_how_many_and_on_which_line():
    class Logarithm(nn.Module):
        def forward(self, x):
            return (x - x.detach() + torch.tensor([[1.0], [0.0], [1.0], [0.0]])).log()

    model = nn.Sequential(nn.Linear(2, 2), Logarithm())
    found = origin_of(lambda model: model(torch.ones(4, 2)).sum(), model)
    assert (found.op, found.phase, found.where, found.kind) == ("log", "forward", "1", "inf")
    assert (found.samples, found.share, found.shape) == ((1, 3), 0.5, (4, 2))
    file, number = found.line
    assert ".log()" in Path(file).read_text().splitlines()[number - 1]


def test_an_operation_inside_a_function_of_torch_is_named():
    """The norm at zero, not the division after it; the logarithm of softmax, not the loss."""
    zero = torch.zeros(3, 2)
    found = origin_of(lambda model: (F.normalize(model(zero) - model(zero).detach(), eps=0.0)).sum())
    assert (found.op, found.phase) == ("div", "loss")
    found = origin_of(lambda model: F.cross_entropy(model(X) * torch.inf, torch.tensor([1])))
    assert found.op == "mul"
    found = origin_of(lambda model: F.cross_entropy((0 * model(X) + 3e38) * 3, torch.tensor([1])))
    assert found.op == "mul"


def test_a_function_of_several_operations_is_known_backward_by_the_one_that_fails():
    found = origin_of(lambda model: F.pairwise_distance(model(X), model(X).detach(), eps=0.0).sqrt().sum())
    assert (found.op, found.phase) == ("sqrt", "backward")


def test_a_mask_is_no_origin_whichever_way_it_is_made_but_the_softmax_that_is_left_with_nothing():
    allowed = torch.tensor([[1.0, 1.0], [1.0, 0.0]])

    def attend(allowed):
        return origin_of(lambda model: (model(X) + ((1 - allowed).half() * -1e9).float()).softmax(-1).square().sum())

    assert attend(allowed) is None
    found = attend(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert (found.op, found.phase, found.samples) == ("softmax", "loss", (1,))


def test_an_infinity_that_is_taken_back_does_no_harm():
    def sigmoid_by_hand(model):
        return (1 / (1 + (-1e4 * model(X).abs()).neg().exp())).sum() + (model(X) - model(X).detach()).sqrt().sum()

    found = origin_of(sigmoid_by_hand)
    assert (found.op, found.phase) == ("sqrt", "backward")
    # The logarithm's value is thrown away by `where`; its derivative, 0 / 0, is not.
    found = origin_of(lambda model: torch.where(zeroed(model, X) > 0, zeroed(model, X).log(), 0.0).sum())
    assert (found.op, found.phase) == ("log", "backward")


def test_a_derivative_that_a_rectifier_stops_is_not_the_first_bad_one():
    torch.manual_seed(0)
    stopped = lambda model: torch.relu(model(X) - 1e3).sqrt().sum()  # noqa: E731  (infinite, times a slope of zero)
    assert origin_of(stopped) is None
    found = origin_of(lambda model: stopped(model) + zeroed(model, X).pow(0.5).sum())
    assert (found.op, found.phase) == ("pow", "backward")


def test_without_modules_the_loss_begins_behind_the_last_weight():
    weight, bias = nn.Parameter(torch.full((2, 1), 1e30)), nn.Parameter(torch.zeros(1))
    owner = nn.ParameterList([weight, bias])
    found = origin_of(lambda _: ((X @ weight + bias) ** 2).mean() + 1e-30 * (weight**2).sum() * 0, owner)
    assert (found.op, found.phase) == ("pow", "loss")
    found = origin_of(lambda _: (torch.exp(1e3 * X) @ weight + bias).mean(), owner)
    assert (found.op, found.phase) == ("exp", "forward")
    found = origin_of(lambda _: (X * 1e30) @ (weight * 1e5) @ bias.reshape(1, 1).sum(0), owner)
    assert found.phase == "forward"


def test_what_the_operation_inside_a_function_was_given_says_how_large_numbers_had_become():
    model = nn.RNN(1, 4, nonlinearity="relu", batch_first=True)
    nn.init.constant_(model.weight_hh_l0, 1e3)
    nn.init.constant_(model.weight_ih_l0, 1.0)
    found = origin_of(lambda model: model(torch.ones(1, 20, 1))[0].sum(), model)
    assert found.phase == "forward"
    assert found.largest_input > 1e30


class Loop(nn.Module):
    """The same weights again and again, or others each time, until nothing is finite."""

    def __init__(self, gain, shared, steps=60):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(1 if shared else steps))
        for layer in self.layers:
            nn.init.eye_(layer.weight)
            layer.weight.data.mul_(gain)
        self.steps = steps

    def forward(self, x):
        for step in range(self.steps):
            x = self.layers[step % len(self.layers)](x)
        return x.square().sum()


@pytest.mark.parametrize(("shared", "repeats"), [(True, 20), (False, 0)])
def test_what_the_same_weights_make_larger_and_larger_is_a_recurrence(shared, repeats):
    torch.manual_seed(0)
    model = Loop(20.0, shared)
    found = origin_of(lambda model: model(torch.ones(3, 4)), model)
    assert found.kind in ("inf", "nan")
    assert (found.repeats > repeats) == shared
    assert (found.growth > 60) == shared


def test_what_has_not_grown_is_none():
    model = Loop(1.0, shared=True)
    found = origin_of(lambda model: (model(torch.ones(3, 4)) * 0.0).log() * 0.0, model)
    assert found.op == "log"
    assert found.growth < 3.0
