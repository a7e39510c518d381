"""What every penalty promises, asked of every penalty."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from steadygrad.penalty import PENALTIES

from .kinds import KINDS

each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def test_every_penalty_is_here():
    assert {kind.function for kind in KINDS} == set(PENALTIES)


@each
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_it_is_a_number_that_can_be_added_to_a_loss(kind, dtype):
    leaf = kind.leaf(dtype).requires_grad_()
    term = kind.term(leaf)
    assert term.shape == ()
    assert term.isfinite()
    assert term >= 0
    assert term.dtype == torch.promote_types(dtype, torch.float32)
    term.backward()
    assert leaf.grad.isfinite().all()
    assert leaf.grad.any()


@each
def test_its_gradient_is_that_of_its_value(kind):
    assert torch.autograd.gradcheck(kind.term, kind.leaf(torch.float64).requires_grad_())


@each
def test_it_is_zero_where_it_must_be(kind):
    assert kind.zero().item() == pytest.approx(0.0, abs=1e-9)


@each
def test_of_nothing_it_is_zero(kind):
    assert kind.none().item() == pytest.approx(0.0, abs=1e-9)


@each
def test_in_reduced_precision_it_is_about_the_same(kind):
    exact, coarse = (kind.term(kind.leaf(dtype)).item() for dtype in (torch.float64, torch.bfloat16))
    assert coarse == pytest.approx(exact, rel=0.05)


@each
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_hidden(kind, value):
    leaf = kind.leaf(torch.float32)
    leaf[0, 0] = value
    if kind.name == "flossing" and value == float("inf"):
        leaf[:] = value  # one infinite weight saturates a tanh, whose slope is then 0
    assert not kind.term(leaf).isfinite()


@each
def test_a_step_against_its_gradient_makes_it_smaller(kind):
    leaf = kind.leaf(torch.float64).requires_grad_()
    term = kind.term(leaf)
    (grad,) = torch.autograd.grad(term, leaf)
    with torch.no_grad():
        assert kind.term(leaf - 1e-4 * grad) < term


@each
def test_no_value_is_read(kind):
    with FakeTensorMode():
        leaf = torch.empty(kind.leaf(torch.float32).shape, requires_grad=True)
        term = kind.term(leaf)
        (grad,) = torch.autograd.grad(term, leaf)
        assert term.shape == ()
        assert grad.shape == leaf.shape


@each
def test_no_random_number_is_used_up(kind):
    before = torch.get_rng_state()
    kind.term(kind.leaf(torch.float32))
    assert torch.equal(before, torch.get_rng_state())
