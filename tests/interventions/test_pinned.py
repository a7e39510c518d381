"""Attention that looks at one place only: what of which weights is scaled, and how far."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.part import Part
from steadygrad.interventions.pinned import SOFT, unpin_
from steadygrad.interventions.reparametrised import Scaled

WIDTH, HEADS = 16, 2


class Packed(nn.Module):
    """Queries, keys and values of one matrix."""

    def __init__(self, gain, fused=False, transposed=False):
        super().__init__()
        self.gain, self.fused, self.transposed = gain, fused, transposed
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        if transposed:
            self.weight = nn.Parameter(self.qkv.weight.detach().T.contiguous())
            del self.qkv
        self.out = nn.Linear(WIDTH, 4)

    def forward(self, x):
        made = x @ self.weight if self.transposed else self.qkv(x)
        query, key, value = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in made.chunk(3, -1))
        if self.fused:
            looked = F.scaled_dot_product_attention(query, key, value, scale=self.gain)
        else:
            mask = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
            looked = ((query @ key.mT) * self.gain).masked_fill(mask, -math.inf).softmax(-1) @ value
        return self.out(looked.transpose(1, 2).flatten(-2))


def spread(model, part, scale, x):
    """Of the logits, where a part of the weights is scaled."""
    with torch.no_grad():
        for each, factor in zip(part.tensors, part.factors(scale), strict=True):
            each.mul_(factor)
        made = x @ model.weight if model.transposed else model.qkv(x)
        query, key, _ = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in made.chunk(3, -1))
        logits = (query @ key.mT) * model.gain
        if not model.fused:
            mask = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
            return (logits.masked_fill(mask, -math.inf).amax(-1) - logits.masked_fill(mask, math.inf).amin(-1)).max()
        return (logits.amax(-1) - logits.amin(-1)).max()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_what_makes_values_beside_queries_and_keys_stays_as_it_is(fused, transposed):
    torch.manual_seed(0)
    model, x = Packed(200.0, fused, transposed), torch.randn(8, 10, WIDTH)
    before = copy.deepcopy(model.state_dict())
    ((part, scale),) = unpin_(model, (x,), {}, "weight" if transposed else "qkv")
    assert part.outputs.tolist() == [True] * (2 * WIDTH) + [False] * WIDTH
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "only asked"
    assert spread(model, part, scale, x) == pytest.approx(SOFT, rel=0.2), "queries times keys: the root, not the whole"


def test_torchs_own_attention_is_one_matrix_too():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.att = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

        def forward(self, x):
            return self.att(x, x, x, need_weights=False)[0]

    torch.manual_seed(0)
    model = Reader()
    with torch.no_grad():
        model.att.in_proj_weight.mul_(30.0)
    found = unpin_(model, (torch.randn(8, 10, WIDTH),), {}, "att")
    assert [part.outputs.sum().item() for part, _ in found] == [2 * WIDTH]
    assert all(param is not model.att.out_proj.weight for part, _ in found for param in part.tensors)


def test_logits_without_a_graph_tell_nothing_and_all_is_scaled():
    torch.manual_seed(0)
    model, x = Packed(200.0), torch.randn(8, 10, WIDTH)
    model.forward = torch.no_grad()(model.forward)
    ((part, scale),) = unpin_(model, (x,), {}, "qkv")
    assert part.outputs is None
    assert scale < 0.5


def test_two_matrices_are_scaled_alike_and_whole():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

        def forward(self, x):
            return ((self.q(x) @ self.k(x).mT) * 100.0).softmax(-1) @ self.v(x)

    torch.manual_seed(0)
    model = Pair()
    found = unpin_(model, (torch.randn(8, 10, WIDTH),), {}, "k")
    assert {id(part.tensors[0]) for part, _ in found} == {id(model.q.weight), id(model.k.weight)}
    assert all(part.outputs is None for part, _ in found)
    assert len({scale for _, scale in found}) == 1


def test_a_part_that_is_trained_as_another_is_left_to_the_last_bit_and_steps_with_its_own_size():
    torch.manual_seed(0)
    layer = nn.Linear(3, 4)
    with torch.no_grad():
        scaled = Scaled(Part([layer.weight, layer.bias], torch.tensor([True, True, False, False])), 0.1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    applied = intervention_for("rescale-initialisation")
    applied.layers.append(scaled)
    before = copy.deepcopy(layer.state_dict())
    for _ in range(3):
        applied.before_step(optimizer)
        applied.after_step(optimizer)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items()), "nothing was stepped"
    layer.weight.grad, layer.bias.grad = torch.ones(4, 3), torch.ones(4)
    applied.before_step(optimizer)
    optimizer.step()
    applied.after_step(optimizer)
    moved = before["bias"] - layer.bias
    assert torch.allclose(moved, torch.tensor([0.01, 0.01, 1.0, 1.0])), "W = sV: s from the gradient, s from V"
    again = Scaled.again([layer.weight, layer.bias], scaled.kept())
    assert [each.tolist() for each in again._factors()] == [each.tolist() for each in scaled._factors()]


@pytest.mark.parametrize("steps", [120])
def test_a_temperature_that_is_too_low_is_as_if_it_were_not(steps):
    """A one-layer lookup learns with the remedy what it does not learn without."""

    def final(remedied):
        torch.manual_seed(0)
        model, table = Packed(400.0), nn.Embedding(8, WIDTH)
        params = [*model.parameters(), *table.parameters()]
        optimizer = torch.optim.Adam(params, lr=1e-2)
        losses = []
        with Applied([intervention_for("rescale-initialisation", "qkv")] if remedied else []):
            for _ in range(steps):
                tokens = torch.randint(4, (64, 5))
                tokens[:, -1] = 4 + torch.randint(4, (64,))  # asks which of the first four places
                x = table(tokens) + positions
                target = tokens.gather(1, tokens[:, -1:] - 4)[:, 0]
                loss = F.cross_entropy(model(x)[:, -1], target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        return sum(losses[-20:]) / 20

    positions = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(1))
    assert final(remedied=True) < 0.5 * final(remedied=False)


@pytest.mark.parametrize(
    ("bias", "gain", "of_biases"), [(-14.0, 1.0, True), (-14.0, 400.0, False), (0.0, 400.0, False)]
)
def test_a_bias_that_pins_by_itself_is_taken_away_and_the_weights_stay(bias, gain, of_biases):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6), nn.Sigmoid())
    with torch.no_grad():
        model[2].weight.mul_(gain)
        model[2].bias.fill_(bias)
    x = torch.randn(32, 8)
    before = copy.deepcopy(model.state_dict())
    found = unpin_(model, (x,), {}, "2")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "only asked"
    assert ([each is model[2].bias for part, _ in found for each in part.tensors] == [True]) == of_biases
    with Applied([intervention_for("rescale-initialisation", "2")]):
        model(x)
    assert torch.equal(model[2].weight, before["2.weight"]) == of_biases
    assert (model(x) - 0.5).abs().max() < 0.49, "at work"


def test_of_two_biases_only_the_one_that_pins_goes():
    """The other is of a natural size, and goes on training as it is."""

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.ones, self.others = nn.Linear(8, 6), nn.Linear(8, 6)
            nn.init.constant_(self.ones.bias, -14.0)

        def forward(self, x):
            return torch.sigmoid(self.ones(x) + self.others(x))

    torch.manual_seed(0)
    model, x = Sum(), torch.randn(32, 8)
    small = model.others.bias.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Applied([intervention_for("rescale-initialisation", "ones")]):
        for _ in range(3):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    assert all(each.isfinite().all() for each in model.parameters())
    assert model.ones.bias.abs().max() < 1.0
    assert torch.allclose(model.others.bias, small, atol=0.1)


@pytest.mark.parametrize("size", [0.2, 1.0, 5.0])
def test_weights_that_are_at_fault_go_no_higher_than_a_natural_size(size):
    """However small inputs are, a net of layers that amplify each is chaotic."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    for layer in model[::2]:
        nn.init.normal_(layer.weight, std=4.0)
    found = unpin_(model, (size * torch.randn(32, 64),), {}, "0")
    assert [each.tensors[0] is layer.weight for (each, _), layer in zip(found, model[::2], strict=False)] == [True] * 2
    gains = [4.0 * 8.0 * scale for _, scale in found]
    assert max(gains) < 1.1
    assert gains[0] == pytest.approx(min(1.0, 1.0 / size), rel=0.15)


def test_a_layer_is_known_where_the_outermost_module_is_never_called():
    """A list of parts, of which each is called by itself: the finding counts from the list."""
    torch.manual_seed(0)
    parts = nn.ModuleList([nn.Embedding(9, 16), nn.Sequential(nn.Linear(16, 16), nn.Tanh())])
    nn.init.normal_(parts[1][0].weight, std=5.0)
    x = torch.randn(32, 16)
    assert [part.tensors[0] is parts[1][0].weight for part, _ in unpin_(parts[1], (x,), {}, "1.0")] == [True]
    assert unpin_(parts[0], (torch.randint(9, (32,)),), {}, "1.0") == []


class Cosine(nn.Module):
    """Attention by the angle between queries and keys, times a temperature that is learned."""

    def __init__(self, scale, logarithm):
        super().__init__()
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        start = torch.full((HEADS, 1, 1), math.log(scale) if logarithm else scale)
        self.logarithm, self.scale = logarithm, nn.Parameter(start)
        self.out = nn.Linear(WIDTH, 4)

    def logits(self, x):
        query, key = (
            F.normalize(each(x).unflatten(-1, (HEADS, -1)).transpose(1, 2), dim=-1) for each in (self.query, self.key)
        )
        return query @ key.mT * (self.scale.exp() if self.logarithm else self.scale)

    def forward(self, x):
        looked = self.logits(x).softmax(-1) @ x.unflatten(-1, (HEADS, -1)).transpose(1, 2)
        return self.out(looked.transpose(1, 2).flatten(-2))


@pytest.mark.parametrize("logarithm", [False, True])
def test_where_a_norm_takes_no_notice_the_temperature_is_meant(logarithm):
    torch.manual_seed(0)
    model, x = Cosine(3000.0, logarithm), torch.randn(8, 10, WIDTH)
    before = copy.deepcopy(model.state_dict())
    ((part, scale),) = unpin_(model, (x,), {}, "query")
    assert [each is model.scale for each in part.tensors] == [True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "only asked"
    with torch.no_grad():
        model.scale.mul_(scale)
        logits = model.logits(x)
    assert 0.5 * SOFT < (logits.amax(-1) - logits.amin(-1)).max() < 1.2 * SOFT


def test_a_temperature_that_is_a_constant_of_the_script_is_left():
    torch.manual_seed(0)
    model = Cosine(3000.0, False)
    scale = model.scale.detach()
    del model.scale
    model.scale = scale
    assert unpin_(model, (torch.randn(8, 10, WIDTH),), {}, "query") == []
