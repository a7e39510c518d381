"""Operations kept away from the edge of their domain."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, rows, with_remedy

EPSILON = "add-epsilon-inside-the-operation"


def training(last, target, steps=120, lr=0.1):
    """A perceptron whose outputs go through `last` and are to be `target` of the inputs."""

    def run():
        model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)

        def batch(step):
            x, _ = rows()
            return x, target(x[:, :1])

        return fitted(model, optimizer, batch, steps, lambda a, b: (last(a) - b).square().mean())

    return run


@pytest.mark.parametrize(
    ("last", "target"),
    [
        (lambda a: (a * torch.relu(a)).sqrt(), lambda x: x.abs()),
        (lambda a: (a * torch.relu(a)) ** 0.5, lambda x: x.abs()),
        (lambda a: a / a.detach().relu(), lambda x: torch.ones_like(x)),
        (lambda a: (a * torch.relu(a)).log(), lambda x: x.clamp(-2, 2)),
        (lambda a: torch.acos(torch.tanh(20 * a)), lambda x: 1.5 + 1.5 * x.sign()),
        (lambda a: (a * torch.relu(a)).pow(torch.tensor(0.5)), lambda x: x.abs()),
    ],
    ids=["sqrt", "power", "quotient", "log", "acos", "tensor-power"],
)
def test_a_value_or_a_slope_that_is_not_finite(last, target):
    run = training(last, target, lr=0.02)
    assert lost(bare(run))
    losses = with_remedy(run, EPSILON)
    assert all(map(math.isfinite, losses))
    assert end(losses) < losses[0]


def test_cross_entropy_by_hand():
    """log of a softmax that underflows."""

    def run():
        model = nn.Linear(4, 5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        losses = []
        for step in range(80):
            x = torch.randn(32, 4)
            goal = (3 * x[:, :4]).argmax(1)
            output = torch.softmax((1 + 4 * step) * model(x), 1)
            loss = -output.log()[torch.arange(32), goal].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    assert lost(bare(run))
    assert all(map(math.isfinite, with_remedy(run, EPSILON)))


DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]

EDGES = [
    ("log", lambda v: v.log(), 0.0),
    ("log2", torch.log2, 0.0),
    ("sqrt", torch.sqrt, 0.0),
    ("rsqrt", torch.rsqrt, 0.0),
    ("log1p", torch.log1p, -1.0),
    ("acos", torch.acos, 1.0),
    ("asin", torch.asin, -1.0),
    ("atanh", torch.atanh, 1.0),
    ("exp", torch.exp, 1e4),
    ("expm1", torch.expm1, 1e4),
    ("reciprocal", torch.reciprocal, 0.0),
    ("one-by", lambda v: 1.0 / v, 0.0),
    ("by", lambda v: 2.0 * v / v, 0.0),
    ("half-power", lambda v: v**0.5, 0.0),
    ("minus-one", lambda v: v**-1, 0.0),
    ("minus-one-float", lambda v: v**-1.0, 0.0),
    ("power-function", lambda v: torch.pow(v, 0.3), 0.0),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "operation", "edge"), EDGES, ids=[name for name, _, _ in EDGES])
def test_at_the_edge_value_and_slope_are_finite(name, operation, edge, dtype):
    edge = min(edge, torch.finfo(dtype).max)

    def both():
        v = torch.full((2,), edge, dtype=dtype, requires_grad=True)
        value = operation(v)
        value.sum().backward()
        return bool(value.isfinite().all() and v.grad.isfinite().all())

    assert not both()
    with Applied([intervention_for(EPSILON)]):
        assert both()


SAFE = [
    ("log", torch.log, 0.01, 50.0),
    ("sqrt", torch.sqrt, 0.01, 50.0),
    ("log1p", torch.log1p, -0.9, 50.0),
    ("acos", torch.acos, -0.99, 0.99),
    ("exp", torch.exp, -200.0, 70.0),
    ("square", lambda v: v**2, -50.0, 50.0),
    ("cube", lambda v: v**3.0, -50.0, 50.0),
    ("minus-one", lambda v: v**-1, -50.0, -0.01),
    ("minus-two", lambda v: v**-2.0, -50.0, -0.01),
    ("zeroth", lambda v: v**0, -50.0, 50.0),
    ("by", lambda v: 3.0 / v, -50.0, -0.01),
    ("distances", lambda v: torch.cdist(v[:, None], v[:, None] + 200.0), -50.0, 50.0),
    ("city-block", lambda v: torch.cdist(v[:, None], v[:, None], p=1.0), -50.0, 50.0),
    ("norm", lambda v: v.norm(), 0.01, 50.0),
]


@pytest.mark.parametrize(("name", "operation", "least", "most"), SAFE, ids=[each[0] for each in SAFE])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_inside_the_domain_nothing_is_changed(name, operation, least, most, data):
    numbers = data.draw(st.lists(st.floats(least, most), min_size=1, max_size=5))
    v = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
    applied = intervention_for(EPSILON)
    with Applied([applied]):
        found = operation(v)
    assert torch.equal(found, operation(v))
    assert not applied.times


@pytest.mark.parametrize("name", ["log_", "sqrt_", "rsqrt_", "log1p_"])
def test_what_works_in_place_still_does(name):
    """The script need not use what such a function returns."""
    w = torch.tensor([0.0, 4.0], requires_grad=True)
    with Applied([intervention_for(EPSILON)]):
        v = w * 1.0 - (1.0 if name == "log1p_" else 0.0)
        before = v.detach().clone()
        getattr(v, name)()
    assert v.isfinite().all()
    assert v[1] == getattr(before, name[:-1])()[1]


def test_a_deviation_of_nothing():
    """A constant feature, standardised by hand."""

    def standardised():
        w = torch.ones(4, 3, requires_grad=True)
        found = (w - w.mean(0)) / w.std(0)
        found.square().sum().backward()
        return found.isfinite().all() and w.grad.isfinite().all()

    assert not standardised()
    with Applied([intervention_for(EPSILON)]):
        assert standardised()


def test_data_is_none_of_its_business():
    """Only what is trained has a slope."""
    applied = intervention_for(EPSILON)
    with Applied([applied]):
        assert torch.zeros(2).log().tolist() == [-math.inf, -math.inf]
    assert not applied.times


def test_data_that_is_compared_is_kept_where_the_prediction_is():
    """A silent frame: the logarithm of both sides has to be a number, or the difference is none."""
    applied = intervention_for(EPSILON)
    weight = torch.ones(4, requires_grad=True)
    given, wanted = torch.tensor([[1.0, 0.0, 2.0, 0.0]]), torch.tensor([[2.0, 0.0, 1.0, 3.0]])
    with Applied([applied]):
        distance = ((weight * given).log() - wanted.log()).square()
        assert wanted[:, :2].log().isinf().any(), "of another shape"
    assert distance.isfinite().all()
    assert distance[0, 1] == 0


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_an_evaluation_has_what_was_mended_in_training(without):
    """The loss of other data is then a number too, of whatever shape they are; other functions are as they were."""
    weight = torch.tensor([1.0, 0.0, 2.0, 0.0], requires_grad=True)
    with Applied([intervention_for(EPSILON)]):
        with without():
            assert torch.zeros(7, 3).log().isinf().all(), "nothing has been trained yet"
        assert weight.log().isfinite().all()
        with without():
            assert torch.zeros(7, 3).log().isfinite().all()
            assert torch.zeros(7, 3).sqrt().eq(0).all(), "never mended"
        assert torch.zeros(7, 3).log().isinf().all(), "data of a training"


def test_an_evaluation_has_the_stable_form_too():
    """exp overflows, its logarithm does not."""
    scores = torch.tensor([[200.0, 150.0], [1.0, 2.0]], requires_grad=True)
    exact = torch.logsumexp(scores.detach() + 30.0, 1)
    with Applied([intervention_for(EPSILON)]):
        scores.exp().sum(1).log().sum().backward()
        with torch.no_grad():
            assert torch.allclose((scores + 30.0).exp().sum(1).log(), exact)


def test_of_vectors_and_numbers_of_data_only_those_like_a_prediction_are_kept():
    """A vector has no shape beside its length: of another length it is not what is compared."""
    weight = torch.tensor([0.0, 1.0], requires_grad=True)
    number = torch.tensor(0.0, requires_grad=True)
    with Applied([intervention_for(EPSILON)]):
        assert (weight.sqrt() + (1 / weight) + weight.log() + number.sqrt()).isfinite().all()
        assert torch.tensor([0.0, 4.0]).sqrt()[0] > 0, "what is compared"
        assert torch.tensor([0.0, 4.0, 9.0]).sqrt().tolist() == [0.0, 2.0, 3.0]
        assert (1 / torch.zeros(3)).isinf().all()
        assert torch.tensor(0.0).sqrt() == 0


@pytest.mark.parametrize("function", [torch.softmax, nn.functional.softmax, torch.log_softmax, Tensor.softmax])
def test_what_may_look_nowhere_looks_everywhere_alike(function):
    """A sample that is padding and nothing else: every logit is masked."""
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    masked = logits.masked_fill(torch.tensor([[False] * 4, [True] * 4, [False, True, True, False]]), -math.inf)
    bare = function(masked, -1)
    applied = intervention_for(EPSILON)
    with Applied([applied]):
        mended = function(masked, -1)
    assert applied.times == 1
    assert not bare[1].isfinite().any()
    assert torch.equal(mended[[0, 2]], bare[[0, 2]])
    assert torch.equal(mended[1], function(torch.zeros(4, dtype=torch.float64), -1))
    mended.nan_to_num(neginf=0.0).sum().backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[1] == 0).all()


@pytest.mark.parametrize("weights", [True, False])
def test_attention_over_padding_alone(weights):
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x, padding = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [True] * 5])
    with Applied([intervention_for(EPSILON)]):
        out, _ = layer(x, x, x, key_padding_mask=padding, need_weights=weights)
    assert out.isfinite().all()
    out.sum().backward()
    assert all(param.grad.isfinite().all() for param in layer.parameters())


@pytest.mark.filterwarnings("ignore:.*degrees of freedom:UserWarning")  # torch's own word to the script
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("call", [lambda x: x.std(0), lambda x: torch.var(x, dim=0), lambda x: x.std(0, True)])
def test_one_sample_has_no_spread(call, trained):
    """The unbiased one is 0 / 0; its slope would be too."""
    x = torch.randn(1, 3, requires_grad=trained)
    with Applied([intervention_for(EPSILON)]):
        spread = call(x)
    assert spread.abs().max() <= 1e-3
    several = torch.randn(5, 3, requires_grad=trained)
    wanted = call(several)
    with Applied([intervention_for(EPSILON)]):
        assert torch.equal(call(several), wanted)


def test_nan_that_is_made_of_numbers_of_data_is_kept_away_and_infinities_are_not():
    """A column that is the same in a whole batch, of which a script takes the mean away and divides by the spread."""
    x = torch.tensor([[1.0, 2.0], [1.0, 4.0]])
    with Applied([intervention_for(EPSILON)]):
        scaled = (x - x.mean(0)) / (x - x.mean(0)).square().mean(0).sqrt()
        mask = torch.tensor([0.0, 1.0]).log()
        there_already = torch.tensor([math.nan, 1.0]) / torch.tensor([1.0, 2.0])
    assert scaled[:, 0].tolist() == [0.0, 0.0]
    assert scaled[:, 1].tolist() == [-1.0, 1.0]
    assert mask.tolist() == [-math.inf, 0.0], "many a mask is made so"
    assert there_already.isnan().tolist() == [True, False], "what is no number already is the data's fault"
