"""How far a step has moved the weights, estimated from few coordinates, against the exact ratio."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from steadygrad.measure import UpdateProbe, natural_norm
from steadygrad.measure.update_probe import COORDINATES, MOST_TENSORS

SIGMA = 1 / math.sqrt(COORDINATES)
"""Of the logarithm of the estimate, for normal weights and updates: a root mean square of n normal numbers is off by a
relative 1 / sqrt(2 n), and the estimate is the ratio of two of them."""


def exact(before, after):
    """The largest |dw| / max(|w|, sqrt(rows / 3)), in float64 and over all elements."""
    ratios = []
    for old, new in zip(before, after, strict=True):
        old, new = old.double(), new.detach().double()
        if old.ndim >= 2 and min(old.shape[0], old.numel() // old.shape[0]) >= 8:
            floor = math.sqrt(old.shape[0] / 3)
            ratios.append(((new - old).norm() / max(old.norm().item(), floor)).item())
    return max(ratios)


def estimate(params, move):
    """What the probe says of a move, and what is true."""
    probe = UpdateProbe(params)
    before = [param.detach().clone() for param in params]
    probe.before()
    move()
    return max(ratio.item() for ratio in probe.after()), exact(before, params)


def normal(shape, seed, *, dtype=torch.float32, size=1.0):
    return nn.Parameter((size * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).to(dtype))


def step_of(params, size, seed):
    generator = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def move():
        for param in params:
            param.add_((size * torch.randn(param.shape, generator=generator)).to(param.dtype))

    return move


sides = st.integers(8, 90)
shapes = st.one_of(
    st.tuples(sides, sides), st.tuples(sides, st.integers(2, 9), st.just(3), st.just(3)), st.tuples(sides, sides)
)


# Five sigma are exceeded once in some hundred thousand: the same examples each time.
@settings(max_examples=150, deadline=None, derandomize=True)
@given(shapes, st.integers(0, 2**31), st.floats(0.1, 30.0), st.floats(1e-4, 10.0))
def test_it_is_within_five_sigma_of_the_exact_ratio(shape, seed, size, relative):
    param = normal(shape, seed, size=size)
    found, true = estimate([param], step_of([param], relative * size, seed + 1))
    assert abs(math.log(found / true)) < 5 * SIGMA


def test_it_is_right_on_the_average():
    off = []
    for seed in range(300):
        param = normal((40, 50), seed)
        found, true = estimate([param], step_of([param], 0.01, 1000 + seed))
        off.append(math.log(found / true))
    spread = (sum(each**2 for each in off) / len(off)) ** 0.5
    assert abs(sum(off) / len(off)) < 4 * SIGMA / math.sqrt(len(off)), "no bias"
    assert 0.7 * SIGMA < spread < 1.3 * SIGMA, "and as wide as is said"


OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.1),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.9),
    "adam": lambda params: torch.optim.Adam(params, lr=0.01),
    "adamw-fused": lambda params: torch.optim.AdamW(params, lr=0.01, fused=True),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=0.01),
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=0.1),
    "nadam": lambda params: torch.optim.NAdam(params, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_of_real_steps_it_is_within_five_sigma(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
    params, optimizer = list(model.parameters()), OPTIMIZERS[name](model.parameters())
    off = []
    for _ in range(30):
        x = torch.randn(32, 12)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
        found, true = estimate(params, optimizer.step)
        off.append(abs(math.log(found / true)))
    # Gradients are products of few vectors, with rows and columns of different sizes: no normal numbers. (Rprop is not
    # here: its elements' steps grow apart without bound, and few coordinates do not see the few large ones.)
    assert max(off) < 5 * 1.5 * SIGMA
    assert sorted(off)[15] < 1.5 * SIGMA


def transposed():
    return nn.Parameter(torch.randn(40, 24).t())


def channels_last():
    return nn.Parameter(torch.randn(16, 8, 3, 3).to(memory_format=torch.channels_last))


LAYOUTS = {
    "transposed": lambda: [transposed()],
    "channels last": lambda: [channels_last()],
    "float16": lambda: [normal((30, 40), 1, dtype=torch.float16)],
    "bfloat16": lambda: [normal((30, 40), 1, dtype=torch.bfloat16)],
    "float64": lambda: [normal((30, 40), 1, dtype=torch.float64)],
    "mixed": lambda: [normal((30, 40), seed, dtype=d) for seed, d in enumerate((torch.float16, torch.float64))],
    "with zeros": lambda: [nn.Parameter(torch.zeros(30, 40))],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_any_layout_and_dtype_is_looked_at(name):
    torch.manual_seed(3)
    params = LAYOUTS[name]()
    found, true = estimate(params, step_of(params, 0.2, 7))
    assert true > 0.05
    assert abs(math.log(found / true)) < 5 * SIGMA


def test_there_is_one_ratio_for_each_dtype_and_it_is_the_largest():
    params = [normal((20, 20), seed, dtype=d) for seed, d in enumerate([torch.float32] * 3 + [torch.float64] * 2)]
    probe = UpdateProbe(params)
    probe.before()
    with torch.no_grad():
        for param, factor in zip(params, (1.1, 1.5, 1.2, 1.05, 3.0), strict=True):
            param.mul_(factor)
    ratios = probe.after()
    assert [ratio.shape for ratio in ratios] == [(), ()]
    assert [ratio.item() for ratio in ratios] == pytest.approx([0.5, 2.0], rel=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_exactly_nothing_when_nothing_moves(name):
    assert estimate(LAYOUTS[name](), lambda: None) == (0.0, 0.0)


def test_a_matrix_that_starts_at_zero_is_measured_by_what_it_would_be_by_default():
    param = nn.Parameter(torch.zeros(48, 64))
    probe = UpdateProbe([param])
    probe.before()
    with torch.no_grad():
        param.fill_(0.1)
    natural = math.sqrt(48 / 3)
    assert natural_norm(param) == natural
    assert probe.after()[0].item() == pytest.approx(0.1 * math.sqrt(48 * 64) / natural)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_it_is_not_a_number_when_weights_are_none(dtype):
    params = [normal((20, 20), 0, dtype=dtype), normal((20, 20), 1, dtype=dtype)]
    for was_bad, is_bad in ((False, True), (True, True), (True, False)):
        with torch.no_grad():
            params[1].fill_(math.nan if was_bad else 1.0)
        probe = UpdateProbe(params)
        probe.before()
        with torch.no_grad():
            params[1].fill_(math.nan if is_bad else 1.0)
        assert math.isnan(probe.after()[0].item()), (was_bad, is_bad)


def test_weights_that_have_become_infinite_are_no_finite_step():
    param = normal((20, 20), 0)
    probe = UpdateProbe([param])
    probe.before()
    with torch.no_grad():
        param.fill_(math.inf)
    assert not math.isfinite(probe.after()[0].item())


@pytest.mark.parametrize(
    "param",
    [
        nn.Parameter(torch.ones(1000)),
        nn.Parameter(torch.ones(7, 1000)),
        nn.Parameter(torch.ones(1000, 7)),
        nn.Parameter(torch.ones(())),
        nn.Parameter(torch.ones(64, 1, 7)),
        nn.Parameter(torch.empty(0, 10)),
        nn.Parameter(torch.ones(20, 20, dtype=torch.complex64)),
        nn.Parameter(torch.ones(20, 20, dtype=torch.int32), requires_grad=False),
        nn.Parameter(torch.ones(40, 40)[:, ::2]),
        nn.Parameter(torch.eye(20).to_sparse()),
    ],
    ids=["1-d", "few rows", "few columns", "0-d", "few in a row", "empty", "complex", "integers", "gaps", "sparse"],
)
def test_what_says_nothing_is_left_out(param):
    probe = UpdateProbe([param])
    probe.before()
    assert probe.after() == []
    beside = normal((20, 20), 0)
    probe = UpdateProbe([param, beside])
    probe.before()
    with torch.no_grad():
        param.mul_(100)
        beside.mul_(1.25)
    assert [ratio.item() for ratio in probe.after()] == pytest.approx([0.25], rel=1e-5)


def test_a_storage_that_was_replaced_is_followed():
    params = [normal((20, 30), 0), normal((20, 30), 1)]
    probe = UpdateProbe(params)
    for between in (False, True):
        if not between:
            params[0].data = params[0].data.clone()
        probe.before()
        with torch.no_grad():
            if between:
                params[0].data = 3 * params[0].data
            else:
                params[0].mul_(3)
        assert probe.after()[0].item() == pytest.approx(2.0, rel=1e-5)
    # Of another layout, too.
    params[0].data = params[0].data.t().contiguous().t()
    probe.before()
    with torch.no_grad():
        params[0].mul_(1.5)
    assert probe.after()[0].item() == pytest.approx(0.5, rel=1e-5)


def test_after_without_before_says_nothing():
    param = normal((20, 20), 0)
    probe = UpdateProbe([param])
    assert probe.after() == []
    probe.before()
    assert len(probe.after()) == 1
    assert probe.after() == [], "a look is used once"


def test_weights_and_gradients_stay_as_they_are_and_no_graph_is_made():
    param = normal((20, 20), 0)
    param.grad = torch.ones_like(param)
    before, version = param.detach().clone(), param._version
    probe = UpdateProbe([param])
    probe.before()
    (ratio,) = probe.after()
    assert not ratio.requires_grad
    assert torch.equal(param, before)
    assert (param.grad == 1).all()
    assert param._version == version


class Calls(TorchDispatchMode):
    """Notes what is called, and how many tensors are looked at and elements gone through."""

    def __init__(self):
        super().__init__()
        self.names, self.looked_at, self.largest = [], 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.names.append(str(function))
        if function is torch.ops.aten.cat.default:
            self.looked_at += len(args[0])
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.numel())
        return result


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 128, 129, 500])
def test_its_cost_does_not_grow_with_the_model(count):
    params = [nn.Parameter(torch.ones(64, 64)) for _ in range(count)]
    probe = UpdateProbe(params)
    with Calls() as calls:
        probe.before()
    assert min(count, MOST_TENSORS // 2) <= calls.looked_at <= min(count, MOST_TENSORS)
    assert calls.largest <= MOST_TENSORS * COORDINATES, "never more elements than these"
    assert len(calls.names) <= 2
    with Calls() as calls:
        probe.after()
    assert len(calls.names) < 20
    assert calls.largest <= MOST_TENSORS * COORDINATES


def test_tensors_that_are_looked_at_lie_all_over_the_model():
    params = [nn.Parameter(torch.ones(8, 8)) for _ in range(200)]
    for first in range(0, 200, 8):
        probe = UpdateProbe(params)
        probe.before()
        with torch.no_grad():
            for param in params[first : first + 8]:
                param.mul_(2)
        assert probe.after()[0].item() == 1.0, first


def test_no_value_is_read_by_the_host():
    """`FakeTensorMode` would find no plain tensors here, so tensors without values do: a read of those raises."""
    params = [nn.Parameter(torch.ones(20, 20, device="meta")), nn.Parameter(torch.ones(9, 8, 3, 3, device="meta"))]
    probe = UpdateProbe(params)
    probe.before()
    with torch.no_grad():
        for param in params:
            param.mul_(2)
    (ratio,) = probe.after()
    assert ratio.is_meta
    with pytest.raises((RuntimeError, NotImplementedError)):
        ratio.item()
    real = [nn.Parameter(torch.ones(20, 20)), nn.Parameter(torch.ones(20, 20, dtype=torch.float16))]
    probe = UpdateProbe(real)
    with Calls() as calls:
        probe.before()
        probe.after()
    assert calls.names
    assert not any("local_scalar_dense" in name or "is_nonzero" in name for name in calls.names)


def test_no_large_part_of_a_small_matrix_is_out_of_sight():
    param = nn.Parameter(torch.ones(8, 8))
    probe = UpdateProbe([param])
    probe.before()
    with torch.no_grad():
        param[4:].mul_(100)
    assert probe.after()[0].item() > 1.0


@pytest.mark.parametrize(
    "shape",
    [(32, 3, 3, 3), (96, 33), (32, 99)],
    ids=["the first convolution of an image net", "33 inputs", "99 inputs"],
)
def test_no_input_of_a_layer_is_out_of_sight(shape):
    param = nn.Parameter(torch.ones(shape))
    probe = UpdateProbe([param])
    probe.before()
    with torch.no_grad():
        param.view(shape[0], -1)[:, 1:].mul_(100)  # all inputs but the first
    assert probe.after()[0].item() > 1.0


def test_weights_whose_squares_overflow_are_not_taken_for_broken_ones():
    weight = nn.Parameter(torch.full((16, 16), 1e25))
    estimated, _ = estimate([weight], lambda: weight.data.mul_(3.0))
    assert estimated == pytest.approx(2.0)


@pytest.mark.parametrize("rate", [0.1, 0.9, 1.5])
def test_gradients_along_a_step_tell_the_curvature_and_whether_it_overshoots(rate):
    """On a bowl of curvature 2 a step of rate r ends at 1 - 2 r of where it began, and the gradient with it."""
    weight = normal((16, 16), 0)
    probe, found = UpdateProbe([weight]), []
    for _ in range(3):
        weight.grad = 2.0 * weight.detach()
        found += probe.along(keep=True)
        probe.before()
        weight.data.add_(weight.grad, alpha=-rate)
        probe.after()
    for ahead, back, square in (dots.tolist() for dots in found):
        assert ahead < 0
        assert (back - ahead) / square == pytest.approx(2.0, rel=1e-4)
        assert back / -ahead == pytest.approx(2 * rate - 1, rel=1e-4)
    assert len(found) == 2


def test_gradients_are_compared_only_where_that_is_asked_for_and_the_step_is_still_so():
    weight = normal((16, 16), 0)
    probe = UpdateProbe([weight])

    def step(*, keep, forget=False):
        weight.grad = weight.detach().clone()
        found = probe.along(keep=keep)
        probe.before()
        weight.data.mul_(0.9)
        probe.after()
        if forget:
            probe.forget()
        return len(found)

    assert [step(keep=True), step(keep=False), step(keep=True, forget=True), step(keep=True)] == [0, 1, 0, 0]
    weight.grad = None
    (dots,) = probe.along(keep=False)
    assert dots[1] == 0.0


def moved(params, size, seed):
    step_of(params, size, seed)()


def test_what_somebody_writes_between_two_steps_is_seen_and_how_much_of_the_way_it_undoes():
    params = [normal((20, 30), 0), normal((20, 30), 1, dtype=torch.float64), normal((20,), 2)]
    first = [param.detach().clone() for param in params]
    probe = UpdateProbe(params)
    assert probe.before() == []
    for seed in range(3):
        moved(params, 0.1, seed)
        probe.after()
        assert [far.item() for far in probe.before()] == [0.0, 0.0]
    probe.after()
    with torch.no_grad():  # nine tenths of the way back
        for param, then in zip(params, first, strict=True):
            param.lerp_(then, 0.9)
    written = probe.before()
    assert all(far > 0 for far in written)
    assert [back.item() for back in probe.taken_back()] == pytest.approx([0.9, 0.9], abs=1e-5)
    moved(params, 0.1, 7)
    probe.after()
    with torch.no_grad():  # and on from there
        for param in params:
            param.mul_(3.0)
    probe.before()
    assert all(back < 0 for back in probe.taken_back())


@pytest.mark.parametrize("ago", [0, 1, 2])
def test_what_is_asked_a_few_steps_later_is_of_then(ago):
    param = normal((20, 30), 0)
    then, probe = param.detach().clone(), UpdateProbe([param])
    for number in range(4 + ago):
        probe.before()
        moved([param], 0.1, number)
        probe.after()
        if number == 3:
            with torch.no_grad():
                param.lerp_(then, 0.75)
    probe.before()
    assert probe.taken_back(ago)[0].item() == pytest.approx(0.75, abs=1e-5)


def test_weights_that_the_probe_is_told_to_forget_were_put_back_by_nobody():
    param = normal((20, 30), 0)
    probe = UpdateProbe([param])
    probe.before()
    probe.after()
    with torch.no_grad():
        param.mul_(2.0)
    probe.forget()
    assert probe.before() == []
    assert probe.taken_back() == []


def test_a_single_weight_among_those_looked_at_is_enough():
    param = normal((8, 8), 0)  # as many as are looked at
    probe = UpdateProbe([param])
    probe.before()
    probe.after()
    with torch.no_grad():
        param[3, 5] += 1e-3
    assert probe.before()[0].item() == pytest.approx(1e-3, rel=1e-3)
