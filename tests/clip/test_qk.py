"""Attention logits come down to the limit, exactly, whatever keeps the projections."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from steadygrad.clip import ClipByGlobalNorm, QKClip, QueryKey, attach, chain
from steadygrad.measure import AttentionProbe


class GroupedAttention(nn.Module):
    """As in Llama: fewer heads for keys and values than for queries, and biases here."""

    def __init__(self, width=16, heads=4, groups=2):
        super().__init__()
        self.num_heads, self.groups = heads, groups
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width * groups // heads)
        self.v_proj = nn.Linear(width, width * groups // heads)
        self.o_proj = nn.Linear(width, width)

    def split(self, x, heads):
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    def forward(self, x):
        query = self.split(self.q_proj(x), self.num_heads)
        key, value = (self.split(layer(x), self.groups) for layer in (self.k_proj, self.v_proj))
        out = F.scaled_dot_product_attention(query, key, value, enable_gqa=True)
        return self.o_proj(out.transpose(1, 2).flatten(-2))


class PackedAttention(nn.Module):
    """One layer for queries, keys and values, and a softmax written by hand."""

    def __init__(self, width=16, heads=4):
        super().__init__()
        self.num_heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)

    def forward(self, x):
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        return (logits.softmax(dim=-1) @ value).transpose(1, 2).flatten(-2)


def packed(module):
    width = module.qkv.in_features
    return QueryKey((module.qkv.weight[:width],), (module.qkv.weight[width : 2 * width],))


class Block(nn.Module):
    """An attention module with an input that makes its logits large."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x):
        if isinstance(self.attention, nn.MultiheadAttention):
            return self.attention(x, x, x, need_weights=False)[0]
        return self.attention(x)


MODULES = {
    "multihead": (lambda: nn.MultiheadAttention(16, 4, batch_first=True), None),
    "multihead without bias": (lambda: nn.MultiheadAttention(16, 4, bias=False, batch_first=True), None),
    "multihead of other widths": (lambda: nn.MultiheadAttention(16, 4, kdim=16, vdim=16, batch_first=True), None),
    "multihead with a key of its own": (lambda: nn.MultiheadAttention(16, 4, add_bias_kv=True, batch_first=True), None),
    "grouped": (GroupedAttention, None),
    "packed": (PackedAttention, packed),
}


def large(module, size=6.0):
    """Grow a module's weights, biases too."""
    with torch.no_grad():
        for param in module.parameters():
            param.mul_(size).add_(0.1 * torch.randn_like(param))
    return module


def logits_of(model, x):
    with AttentionProbe(model, every=1, entropy=False) as probe:
        model(x)
    return next(iter(probe.read().values())).max_logit


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_each_head_comes_down_to_the_limit(name, alpha):
    torch.manual_seed(0)
    make, weights = MODULES[name]
    model = Block(large(make()))
    x = torch.randn(3, 7, 16)
    before = logits_of(model, x)
    threshold = before.median().item()
    assert (before > threshold).any()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    policy = QKClip(model, threshold, alpha=alpha, weights=weights)
    with attach(policy, optimizer):
        model(x).sum().backward()
        optimizer.step()
    torch.testing.assert_close(policy.max_logits()["attention"], before)
    after = logits_of(model, x)
    if name == "grouped":
        factors = (threshold / before).clamp(max=1.0).view(2, 2).amin(1).repeat_interleave(2)
    else:
        factors = (threshold / before).clamp(max=1.0)
    torch.testing.assert_close(after, before * factors, rtol=1e-4, atol=1e-5)


def test_below_the_limit_nothing_is_touched():
    model = Block(nn.MultiheadAttention(16, 4, batch_first=True))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    before = [param.detach().clone() for param in model.parameters()]
    with attach(QKClip(model), optimizer):
        model(torch.randn(2, 5, 16)).sum().backward()
        optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_all_passes_since_the_last_step_count():
    """Accumulation: the worst of the micro-batches decides."""
    model = Block(large(nn.MultiheadAttention(16, 4, batch_first=True)))
    small, big = torch.randn(2, 5, 16), 3 * torch.randn(2, 5, 16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    policy = QKClip(model, 1e9)
    attach(policy, optimizer)
    expected = torch.maximum(logits_of(model, small), logits_of(model, big))
    for x in (big, small):
        model(x).sum().backward()
    optimizer.step()
    torch.testing.assert_close(policy.max_logits()["attention"], expected)


def test_a_frozen_query_leaves_it_to_the_key():
    model = Block(large(GroupedAttention()))
    model.attention.q_proj.requires_grad_(False)
    x = torch.randn(3, 7, 16)
    before, query = logits_of(model, x), model.attention.q_proj.weight.clone()
    optimizer = torch.optim.SGD([param for param in model.parameters() if param.requires_grad], lr=0.0)
    with attach(QKClip(model, before.max().item() / 4), optimizer):
        model(x).sum().backward()
        optimizer.step()
    assert torch.equal(model.attention.q_proj.weight, query)
    assert logits_of(model, x).max().item() == pytest.approx(before.max().item() / 4, rel=1e-4)


def test_it_chains():
    model = Block(large(nn.MultiheadAttention(16, 4, batch_first=True)))
    x = torch.randn(3, 7, 16)
    limit = logits_of(model, x).max().item() / 2
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
    attached = attach(chain(ClipByGlobalNorm(1e-3), QKClip(model, limit)), optimizer)
    model(x).sum().backward()
    optimizer.step()
    assert attached.last.clipped_norm.item() == pytest.approx(1e-3, rel=1e-4)
    assert logits_of(model, x).max().item() <= limit * 1.001


def test_logits_that_grow_without_end_are_held():
    """The run that it is for: a bold learning rate, and attention that has reason to become ever sharper."""
    worst, losses = {}, {}
    for name in ("bare", "clipped"):
        torch.manual_seed(0)
        model = Block(nn.MultiheadAttention(16, 2, batch_first=True))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        if name == "clipped":
            attach(QKClip(model, 20.0), optimizer)
        seen = []
        for _ in range(100):
            x = torch.randn(8, 12, 16)
            loss = (model(x) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(logits_of(model, x).max().item())
        worst[name], losses[name] = max(seen), loss.item()
    assert worst["bare"] > 80.0
    assert worst["clipped"] < 25.0, "fresh inputs may be a little worse than those that were clipped for"
    assert losses["clipped"] < 1.2 * losses["bare"]


def test_unknown_projections_say_what_to_pass():
    class OddAttention(nn.Module):
        def __init__(self):
            super().__init__()
            self.W = nn.Linear(4, 12)

        def forward(self, x):
            return x

    with pytest.raises(
        ValueError, match=r"OddAttention keeps its projections under names of its own, .* pass weights="
    ):
        QKClip(nn.Sequential(OddAttention()))
    with pytest.raises(ValueError, match="has no attention module"):
        QKClip(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="alpha is 2"):
        QKClip(nn.MultiheadAttention(4, 1), alpha=2)
