"""Logarithms of what an exponential has made, in one: the same numbers, and none that are not finite."""

import math

import pytest
import torch

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.stable_form import StableForms

EPSILON = "add-epsilon-inside-the-operation"

FORMS = {
    "softmax": lambda x: torch.softmax(x, 1).log(),
    "softmax of a tensor": lambda x: x.softmax(dim=1).log(),
    "functional": lambda x: torch.log(torch.nn.functional.softmax(x, dim=-1)),
    "sigmoid": lambda x: torch.sigmoid(x).log(),
    "one minus": lambda x: (1 - torch.sigmoid(x)).log(),
    "log-sum-exp": lambda x: x.exp().sum(1).log(),
    "log-sum-exp, kept": lambda x: torch.exp(x).sum(dim=1, keepdim=True).log(),
    "of all": lambda x: x.exp().sum().log(),
}

STABLE = {
    "softmax": lambda x: torch.log_softmax(x, 1),
    "softmax of a tensor": lambda x: torch.log_softmax(x, 1),
    "functional": lambda x: torch.log_softmax(x, 1),
    "sigmoid": torch.nn.functional.logsigmoid,
    "one minus": lambda x: torch.nn.functional.logsigmoid(-x),
    "log-sum-exp": lambda x: torch.logsumexp(x, 1),
    "log-sum-exp, kept": lambda x: torch.logsumexp(x, 1, keepdim=True),
    "of all": lambda x: torch.logsumexp(x, (0, 1)),
}


def logits(scale):
    return (scale * torch.randn(5, 4, generator=torch.Generator().manual_seed(0))).requires_grad_()


def mended(form, x):
    remedy = intervention_for(EPSILON)
    with Applied([remedy]):
        result = form(x)
        (grad,) = torch.autograd.grad(result.sum(), x)
    return result, grad, remedy.times


@pytest.mark.parametrize("name", FORMS)
def test_where_it_would_not_be_finite_it_is_the_stable_form(name):
    x = logits(-400.0)
    assert not FORMS[name](x).isfinite().all()
    result, grad, times = mended(FORMS[name], x)
    assert times >= 1
    assert torch.equal(result, STABLE[name](x))
    assert grad.isfinite().all()
    assert torch.equal(grad, torch.autograd.grad(STABLE[name](x).sum(), x)[0])


@pytest.mark.parametrize("scale", [1.0, -400.0])
def test_of_a_share_that_is_masked_even_that_is_infinite(scale):
    """An entropy multiplies it by zero. The other shares keep their stable form."""
    x = logits(scale)
    legal = torch.ones(5, 4, dtype=torch.bool).scatter_(1, x.argmin(1, keepdim=True), value=False)

    def entropy(x):
        p = x.masked_fill(~legal, -math.inf).softmax(-1)
        return -(p * p.log()).sum(-1)

    assert entropy(x).isnan().all()
    result, grad, _ = mended(entropy, x)
    log_p = x.masked_fill(~legal, -math.inf).log_softmax(-1)
    expected = -(log_p.exp() * log_p).masked_fill(~legal, 0.0).sum(-1)
    assert torch.allclose(result, expected, atol=1e-6)
    assert grad.isfinite().all()
    if scale == 1.0:
        assert (grad.abs().amax(1) > 1e-3).any()


@pytest.mark.parametrize("name", FORMS)
def test_where_all_is_well_no_bit_changes(name):
    x = logits(1.0)
    result, _, times = mended(FORMS[name], x)
    assert times == 0
    assert torch.equal(result, FORMS[name](x))


def test_what_was_written_into_has_no_such_form():
    x = logits(-400.0)

    def nudged(x):
        p = 1 - torch.sigmoid(x)
        p += 1e-12
        return p.log()

    result, _, times = mended(nudged, x)
    assert times == 1  # kept away from zero, as what is not known to have a stable form is
    assert result.min().item() == pytest.approx(math.log(1e-8), rel=1e-3)


def test_one_minus_an_exponential_is_no_sigmoid():
    x = torch.tensor([0.0, 1.0, 2.0], requires_grad=True)
    result, grad, _ = mended(lambda x: (1 - (-x).exp()).log(), x)
    assert result[1:].tolist() == pytest.approx([-0.4587, -0.1454], abs=1e-4)
    assert grad[1:].tolist() == pytest.approx([0.5820, 0.1565], abs=1e-4)


def test_what_it_was_made_of_may_not_have_been_written_into_either():
    z = torch.tensor([0.0, 200.0])
    forms = StableForms()
    p = forms.seen(torch.softmax, (z, 0), {}, torch.softmax(z, 0))
    assert forms.log_of(p).tolist() == [-200.0, 0.0]
    z.mul_(0.0)
    assert forms.log_of(p) is None


def test_forms_are_forgotten_with_their_tensors():
    forms = StableForms()
    for _ in range(3):
        x = torch.randn(4)
        forms.seen(torch.sigmoid, (x,), {}, torch.sigmoid(x))
    assert len(forms._logs) <= 1
