"""Attention whose logits stay within a bound."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.logits import CAP as BOUND

from .runs import bare, end, lost, with_remedy

CAP = "soft-cap-logits"
SHRINK = "rescale-query-key-weights"
WIDTH = 16


class ByHand(nn.Module):
    """Attention as it stands in papers."""

    def __init__(self, gain, fused=False):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))
        self.fused = fused
        with torch.no_grad():
            self.query.weight.mul_(gain)
            self.key.weight.mul_(gain)

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        if self.fused:
            return F.scaled_dot_product_attention(q, k, v)
        return (q @ k.transpose(1, 2) / WIDTH**0.5).softmax(-1) @ v


class Torchs(nn.Module):
    """torch's own."""

    def __init__(self, gain, weights=True):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.weights = weights
        with torch.no_grad():
            self.attention.in_proj_weight[: 2 * WIDTH].mul_(gain)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=self.weights)[0]


KINDS = {
    "by-hand": lambda gain: ByHand(gain),
    "fused": lambda gain: ByHand(gain, fused=True),
    "torchs": lambda gain: Torchs(gain),
    "torchs-fused": lambda gain: Torchs(gain, weights=False),
}


class Tower(nn.Module):
    def __init__(self, kind, gain, layers=3):
        super().__init__()
        self.layers = nn.ModuleList([KINDS[kind](gain) for _ in range(layers)])
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x.mean(1))


def training(kind, gain=20.0, lr=0.03, steps=100):
    """Through a softmax of large logits the gradient is that of a maximum: hardly ever there, and then huge."""

    def run():
        model = Tower(kind, gain)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        losses = []
        for _ in range(steps):
            x = torch.randn(16, 8, WIDTH)
            loss = (model(x) - x.mean(1)[:, :1] * 2).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_soft_cap_wherever_logits_are_computed(kind):
    """In the script's own softmax, in the fused function, and inside `nn.MultiheadAttention`."""
    assert lost(bare(training(kind)))
    assert end(with_remedy(training(kind), CAP)) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_query_and_key_weights_that_are_scaled_down(kind):
    assert lost(bare(training(kind)))
    assert end(with_remedy(training(kind), SHRINK)) < (0.1 if kind.startswith("torchs") else 0.2)


class OfOtherNames(ByHand):
    """The same, by names that say nothing."""

    def __init__(self, gain):
        super().__init__(gain)
        self.left, self.right = self.query, self.key
        del self.query, self.key

    def forward(self, x):
        q, k, v = self.left(x), self.right(x), self.value(x)
        return (q @ k.transpose(1, 2)).softmax(-1) @ v


@pytest.mark.parametrize("make", [OfOtherNames, lambda gain: nn.Linear(WIDTH, WIDTH)], ids=["other names", "none"])
def test_what_is_not_known_to_be_attention_is_not_scaled(make):
    torch.manual_seed(0)
    model, applied = make(20.0), intervention_for(SHRINK)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    before = [each.detach().clone() for each in model.parameters()]
    with Applied([applied]):
        for _ in range(2):
            model(torch.randn(4, 8, WIDTH)).sum().backward()
            optimizer.step()
    assert not applied.times
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("threshold", [4.0, 30.0])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_come_down_to_the_threshold(kind, threshold):
    torch.manual_seed(0)
    model, x = Tower(kind, 20.0), torch.randn(4, 8, WIDTH)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    applied = intervention_for(SHRINK, threshold=threshold)
    with Applied([applied]):
        for _ in range(4):
            model(x).sum().backward()
            optimizer.step()
    layer = model.layers[0]
    if isinstance(layer, ByHand):
        logits = layer.query(x) @ layer.key(x).transpose(1, 2) / WIDTH**0.5
        assert logits.max().item() == pytest.approx(threshold, rel=1e-3)
    assert applied.times > 0


def test_what_is_masked_stays_masked():
    logits = torch.full((1, 3), 1e4, requires_grad=True)
    mask = torch.tensor([[0.0, 0.0, -float("inf")]])
    with Applied([intervention_for(CAP)]):
        weights = (logits + mask).softmax(-1)
    assert weights.tolist() == [[0.5, 0.5, 0.0]]


def test_no_logit_is_above_the_bound():
    logits = torch.tensor([[0.0, 1e6]], requires_grad=True)
    with Applied([intervention_for(CAP)]):
        found = logits.softmax(-1)
        assert F.softmax(logits, dim=1).equal(found)
    assert found.log()[0, 0].item() == pytest.approx(-BOUND)


def test_a_softmax_of_data_is_left_alone():
    applied = intervention_for(CAP)
    with Applied([applied]):
        assert torch.tensor([0.0, 100.0]).softmax(0)[0] < 1e-40
    assert not applied.times
