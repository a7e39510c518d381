"""Sharpness against the eigenvalues of the whole Hessian, and what measuring it leaves alone."""

import copy
import time

import pytest
import torch
from torch import nn
from torch.func import functional_call

from steadygrad.errors import NoSecondDerivative
from steadygrad.measure import sharpness


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        return self.head(self.layer(self.embed(x))).flatten(0, 1)


class Last(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x):
        return self.rnn(x)[0][:, -1]


def mlp():
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4)), torch.randn(10, 3)


def conv():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.GELU(), nn.Flatten(), nn.Linear(27, 4))
    return net, torch.randn(7, 1, 5, 5)


def lstm():
    return Last(nn.LSTM(3, 4, 2, batch_first=True)), torch.randn(6, 5, 3)


def gru():
    return Last(nn.GRU(3, 4, batch_first=True, bidirectional=True)), torch.randn(6, 5, 3)


def attention():
    return Attention(), torch.randint(5, (3, 4))


def made(kind):
    torch.manual_seed(3)
    net, x = kind()
    net = net.double()
    x = x.double() if x.is_floating_point() else x
    target = torch.randint(4, (net(x).shape[0],))
    return net, lambda: nn.functional.cross_entropy(net(x), target), x, target


def whole_hessian(net, x, target):
    """The Hessian, row by row, without `steadygrad`."""
    params = dict(net.named_parameters())
    sizes = [p.numel() for p in params.values()]

    def loss(flat):
        shaped = {n: v.view_as(p) for (n, p), v in zip(params.items(), flat.split(sizes), strict=True)}
        return nn.functional.cross_entropy(functional_call(net, shaped, (x,)), target)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        start = torch.cat([p.detach().reshape(-1) for p in params.values()])
        return torch.autograd.functional.hessian(loss, start)


KINDS = [mlp, conv, lstm, gru, attention]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_largest_eigenvalue_of_the_whole_hessian(kind):
    net, loss, x, target = made(kind)
    hessian = whole_hessian(copy.deepcopy(net), x, target)
    found = sharpness(loss, list(net.parameters()), iterations=300, tolerance=1e-12)
    assert found.converged
    assert found.value.item() == pytest.approx(torch.linalg.eigvalsh(hessian)[-1].item(), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_tolerance_is_kept_and_the_value_is_a_lower_bound(kind):
    net, loss, x, target = made(kind)
    largest = torch.linalg.eigvalsh(whole_hessian(copy.deepcopy(net), x, target))[-1].item()
    found = sharpness(loss, list(net.parameters()))
    assert found.converged
    assert 0.99 * largest < found.value.item() <= largest * (1 + 1e-9)
    assert sharpness(loss, list(net.parameters()), iterations=2).value.item() < largest


@pytest.mark.parametrize("kind", [mlp, lstm])
def test_preconditioned_it_is_that_of_the_scaled_hessian(kind):
    net, loss, x, target = made(kind)
    params = list(net.parameters())
    diagonal = [torch.rand_like(p) + 0.1 for p in params[:-1]] + [torch.tensor(0.5)]
    scale = torch.cat([d.expand_as(p).reshape(-1) for d, p in zip(diagonal, params, strict=True)]).rsqrt()
    hessian = scale[:, None] * whole_hessian(copy.deepcopy(net), x, target) * scale
    found = sharpness(loss, params, preconditioner=diagonal, iterations=300, tolerance=1e-12)
    # The diagonal is of single precision.
    assert found.value.item() == pytest.approx(torch.linalg.eigvalsh(hessian)[-1].item(), rel=1e-6)


def test_a_parameter_that_does_not_move_has_no_part_in_it():
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    found = sharpness(
        lambda: 3 * (a * a).sum() + 50 * (b * b).sum(),
        [a, b],
        preconditioner=[torch.tensor(1.0), torch.tensor(torch.inf)],
    )
    assert found.value.item() == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("curvatures", "largest"), [([-9.0, 1.0, 2.0], 2.0), ([-9.0, -1.0, -2.0], -1.0), ([0.0] * 3, 0.0)]
)
def test_it_is_the_largest_not_the_one_of_largest_magnitude(curvatures, largest):
    weight = torch.ones(3, requires_grad=True)
    found = sharpness(lambda: (weight**2 * torch.tensor(curvatures)).sum() / 2, [weight])
    assert found.converged
    assert found.value.item() == pytest.approx(largest, abs=1e-4)


def test_a_linear_loss_has_none_and_unused_and_frozen_parameters_are_allowed():
    used, unused, frozen = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True), torch.ones(4)
    assert sharpness(lambda: used.sum(), [used, unused, frozen]).value.item() == 0.0
    found = sharpness(lambda: (used**2).sum() * frozen.sum(), [unused, frozen, used])
    assert found.value.item() == pytest.approx(8.0)


def test_many_equal_eigenvalues_and_one_alone():
    weight = torch.ones(500, dtype=torch.float64, requires_grad=True)
    curvatures = torch.cat([torch.full((499,), 1.0), torch.tensor([1.5])])
    assert sharpness(lambda: (weight**2 * curvatures).sum() / 2, [weight]).value.item() == pytest.approx(1.5, rel=1e-6)


def test_it_is_the_same_each_time_and_the_generator_decides():
    net, loss, *_ = made(mlp)
    params = list(net.parameters())
    values = [sharpness(loss, params, iterations=2).value.item() for _ in range(2)]
    seeded = [
        sharpness(loss, params, iterations=2, generator=torch.Generator().manual_seed(seed)).value.item()
        for seed in (7, 7, 8)
    ]
    assert values[0] == values[1]
    assert seeded[0] == seeded[1] != seeded[2]


def test_gradients_random_numbers_and_the_graph_are_left_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    x = torch.randn(5, 3)
    net(x).sum().backward()
    before = [p.grad.clone() for p in net.parameters()]
    identities = [p.grad for p in net.parameters()]
    state = torch.get_rng_state()
    sharpness(lambda: net(x).square().mean(), list(net.parameters()))
    assert torch.equal(torch.get_rng_state(), state)
    loss = net(x).square().mean()
    sharpness(loss, list(net.parameters()))
    for param, grad, same in zip(net.parameters(), before, identities, strict=True):
        assert param.grad is same
        assert torch.equal(param.grad, grad)
        assert param.requires_grad
    loss.backward()


def test_under_no_grad_and_with_dropout_one_function_is_measured():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 64), nn.Dropout(0.5), nn.Linear(64, 1)).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        found = sharpness(lambda: net(x).square().mean(), list(net.parameters()), tolerance=1e-9, iterations=200)
    assert found.converged


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


class CallsOnce(nn.Module):
    def forward(self, x):
        return Once.apply(x)


@pytest.mark.parametrize("after", [nn.Identity(), nn.Tanh()])
def test_an_operation_without_double_backward_is_named(after):
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(NoSecondDerivative, match=r"^Once has no double backward"):
        sharpness(lambda: after(CallsOnce()(weight)).sum(), [weight])


def test_operations_of_torch_without_double_backward_are_named():
    logits = torch.zeros(6, 2, 4, requires_grad=True)
    lengths = torch.tensor([6, 6]), torch.tensor([2, 2])
    with pytest.raises(NoSecondDerivative, match="ctc_loss_backward has no double backward"):
        sharpness(
            lambda: nn.functional.ctc_loss(logits.log_softmax(-1), torch.ones(2, 2, dtype=int), *lengths), [logits]
        )
    sparse = nn.Embedding(4, 2, sparse=True)
    with pytest.raises(NoSecondDerivative, match="the 4x2 parameter 0 is sparse"):
        sharpness(lambda: sparse(torch.tensor([1, 2])).square().sum(), [sparse.weight])


def test_a_live_loss_from_a_kernel_without_double_backward_asks_for_a_function():
    attend = nn.functional.scaled_dot_product_attention
    q = torch.randn(1, 2, 4, 8, requires_grad=True)
    with pytest.raises(NoSecondDerivative, match=r"flash_attention.* pass a function that builds the loss"):
        sharpness(attend(q, q, q).square().sum(), [q])
    assert sharpness(lambda: attend(q, q, q).square().sum(), [q]).converged


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda w: w.detach().sum(), "requires no gradient"),
        (lambda w: w, "shape \\(2,\\), expected a scalar"),
        (lambda w: 1.0, "is a float, expected a scalar"),
        (lambda w: torch.ones(1, requires_grad=True).sum(), "depends on none of the params"),
    ],
)
def test_what_is_no_loss_is_said_in_one_line(loss, words):
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=words) as caught:
        sharpness(lambda: loss(weight), [weight])
    assert "\n" not in str(caught.value)


def test_bad_arguments_are_refused():
    weight = torch.ones(2, requires_grad=True)
    loss = lambda: (weight**2).sum()  # noqa: E731
    with pytest.raises(ValueError, match="1 tensors for 2 params"):
        sharpness(loss, [weight, weight], preconditioner=[torch.ones(())])
    with pytest.raises(ValueError, match=r"preconditioner 0 has shape \(3,\)"):
        sharpness(loss, [weight], preconditioner=[torch.ones(3)])
    with pytest.raises(ValueError, match="iterations is 0"):
        sharpness(loss, [weight], iterations=0)
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        sharpness(loss, [torch.ones(2)])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_nan_and_not_converged(bad):
    weight = torch.ones(2, requires_grad=True)
    found = sharpness(lambda: (weight * bad).square().sum(), [weight])
    assert found.value.isnan()
    assert not found.converged


def test_time_that_runs_out_ends_it_early_and_it_says_so():
    weight = torch.randn(50, requires_grad=True)
    curvatures = torch.linspace(1, 2, 50)

    def slow(grad):
        time.sleep(0.05)
        return grad

    def loss():
        tilted = weight * 1.0
        tilted.register_hook(slow)
        return (tilted**2 * curvatures).sum()

    began = time.monotonic()
    found = sharpness(loss, [weight], seconds=0.4, tolerance=1e-9)
    assert time.monotonic() - began < 1.5
    assert not found.converged
    assert 1 < found.iterations < 20
    assert sharpness(loss, [weight], seconds=0.0).iterations == 1


def test_half_precision_weights_are_measured_in_single():
    net, _, x, target = made(mlp)
    exact = sharpness(lambda: nn.functional.cross_entropy(net(x), target), list(net.parameters())).value.item()
    net.bfloat16()
    found = sharpness(lambda: nn.functional.cross_entropy(net(x.bfloat16()).float(), target), list(net.parameters()))
    assert found.value.dtype == torch.float32
    assert found.value.item() == pytest.approx(exact, rel=0.05)
