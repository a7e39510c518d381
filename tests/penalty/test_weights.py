"""Which weights the penalties take, and the two that act on layers and groups."""

import math

import pytest
import torch
from torch import nn

from steadygrad import penalty
from steadygrad.penalty.weights import matrices_of


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.body, self.norm = nn.Embedding(7, 4), nn.Linear(4, 4), nn.LayerNorm((2, 4))
        self.head = nn.Linear(4, 7)
        self.head.weight = self.embedding.weight


def test_a_module_gives_its_weights_once_and_no_biases():
    model = Tied()
    wanted = sum(
        weight.square().sum()
        for weight in (model.embedding.weight, model.body.weight, model.norm.weight, model.norm.bias)
    )
    torch.testing.assert_close(penalty.l2(model), wanted)
    model.body.weight.requires_grad_(False)
    torch.testing.assert_close(penalty.l2(model), wanted - model.body.weight.square().sum())


def test_tensors_are_taken_as_they_are_given():
    model = Tied()
    torch.testing.assert_close(penalty.l1(model.body.bias), model.body.bias.abs().sum())
    torch.testing.assert_close(
        penalty.l1(iter([model.body.bias, model.body.weight])), sum(p.abs().sum() for p in model.body.parameters())
    )


def test_half_is_summed_up_in_float32():
    weight = torch.full((300, 300), 1.0, dtype=torch.float16)
    assert penalty.l2(weight).item() == penalty.l1(weight).item() == 90000.0


def test_sgd_with_half_of_l2_is_weight_decay():
    nets = [nn.Linear(3, 3, bias=False) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    decays = [0.0, 0.3]
    for net, decay in zip(nets, decays, strict=True):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=decay)
        (net(torch.ones(2, 3)).sum() + (0.15 * penalty.l2(net) if not decay else 0)).backward()
        optimizer.step()
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


MAPS = [
    (nn.Linear(3, 5), [(1, 5, 3)]),
    (nn.Conv2d(4, 6, 3), [(1, 6, 36)]),
    (nn.Conv2d(4, 8, 3, groups=4), [(4, 2, 9)]),
    (nn.ConvTranspose1d(4, 6, 3), [(1, 4, 18)]),
    (nn.LSTM(3, 5, proj_size=2), [(4, 5, 3), (4, 5, 2), (1, 2, 5)]),
    (nn.GRU(3, 5, bidirectional=True), [(3, 5, 3), (3, 5, 5)] * 2),
    (nn.RNNCell(3, 5), [(1, 5, 3), (1, 5, 5)]),
    (nn.LSTMCell(3, 5), [(4, 5, 3), (4, 5, 5)]),
    (nn.MultiheadAttention(4, 2), [(3, 4, 4), (1, 4, 4)]),
    (nn.MultiheadAttention(4, 2, kdim=3, vdim=5), [(1, 4, 4), (1, 4, 3), (1, 4, 5), (1, 4, 4)]),
    (nn.Embedding(9, 4), []),
    (nn.LayerNorm((3, 4)), []),
    (Tied(), [(1, 4, 4)]),
]


@pytest.mark.parametrize(("module", "shapes"), MAPS, ids=lambda value: type(value).__name__)
def test_the_linear_maps_of_a_module(module, shapes):
    assert [tuple(batch.shape) for batch in matrices_of(module)] == shapes


def test_a_vector_is_no_matrix():
    with pytest.raises(ValueError, match="no matrix"):
        penalty.orthogonality([torch.ones(3)])


def test_orthogonality_is_its_formula():
    weight = torch.randn(3, 7, dtype=torch.float64)
    small, large = weight @ weight.T - torch.eye(3), weight.T @ weight - torch.eye(7)
    torch.testing.assert_close(penalty.orthogonality(weight), small.square().sum())
    torch.testing.assert_close(
        penalty.orthogonality(weight, "double-soft"), small.square().sum() + large.square().sum()
    )
    worst = torch.linalg.eigvalsh(small).abs().max()
    torch.testing.assert_close(penalty.orthogonality(weight, "srip", iterations=500), worst)
    assert worst / 2 < penalty.orthogonality(weight, "srip") <= worst * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["soft", "srip"])
def test_orthogonality_makes_weights_orthogonal(kind):
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Flatten(), nn.Linear(24, 10), nn.GRU(10, 6))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03 if kind == "soft" else 0.01)
    for step in range(600):
        if kind == "srip":  # a norm's gradient does not shrink near its zero
            optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 600)
        optimizer.zero_grad()
        penalty.orthogonality(model, kind).backward()
        optimizer.step()
    for batch in matrices_of(model):
        gram = batch.mT @ batch if batch.shape[1] >= batch.shape[2] else batch @ batch.mT
        bound = 1e-4 if kind == "soft" else 0.1
        torch.testing.assert_close(gram, torch.eye(gram.shape[-1]).expand_as(gram), atol=bound, rtol=0)


def test_spectral_is_the_sum_of_the_squared_spectral_norms():
    model = nn.Sequential(nn.Conv1d(3, 6, 3, groups=3), nn.LSTM(4, 3))
    wanted = sum(torch.linalg.matrix_norm(batch, 2).square().sum() for batch in matrices_of(model))
    torch.testing.assert_close(penalty.spectral(model, iterations=300), wanted, rtol=1e-4, atol=0)
    assert 0.9 * wanted < penalty.spectral(model) <= wanted * 1.0001


def test_spectral_norm_goes_on_with_the_same_optimizer():
    model = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Conv1d(1, 2, 3), nn.LayerNorm(3))
    with torch.no_grad():
        model[0].weight.mul_(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert penalty.spectral_norm_(model) == ["0", "2"]
    assert penalty.spectral_norm_(model) == []
    for _ in range(50):
        model[0](torch.randn(2, 5))
    assert torch.linalg.matrix_norm(model[0].weight, 2).item() == pytest.approx(1.0, abs=1e-3)
    before = model[0].parametrizations.weight.original.clone()
    model[0](torch.randn(2, 5)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, model[0].parametrizations.weight.original)


def test_spectral_norm_says_what_it_cannot_do():
    model = Tied()
    assert penalty.spectral_norm_(model) == ["body"]
    with pytest.raises(ValueError, match="'head' shares its weight"):
        penalty.spectral_norm_(model, ["head"])
    with pytest.raises(ValueError, match="no layer 'nose'"):
        penalty.spectral_norm_(model, ["nose"])


def test_decay_is_for_weights_only():
    model = Tied()
    model.body.bias.requires_grad_(False)
    decayed, free = penalty.decay_groups(model, 0.1)
    assert [decayed["weight_decay"], free["weight_decay"]] == [0.1, 0.0]
    assert decayed["params"] == [model.body.weight]
    assert set(free["params"]) == {model.embedding.weight, model.norm.weight, model.norm.bias, model.head.bias}
    with pytest.raises(ValueError, match="expected at least 0"):
        penalty.decay_groups(model, math.nan)


def test_adam_holds_back_least_what_has_the_largest_gradients_and_adamw_all_alike():
    """Why not l2 with Adam: the same weight, the loss's gradient noise a hundred times larger for one of two."""
    shrunk = {}
    for name in ("l2", "decoupled"):
        weight = nn.Parameter(torch.ones(2, 2))
        optimizer = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.0 if name == "l2" else 0.5)
        generator = torch.Generator().manual_seed(0)
        scale = torch.tensor([[0.1, 10.0]])
        for _ in range(2000):
            loss = (weight * scale * torch.randn(2, 2, generator=generator)).sum()
            loss = loss + (0.25 * penalty.l2([weight]) if name == "l2" else 0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        shrunk[name] = weight.detach().mean(0)
    assert shrunk["l2"][0] < 0.2 < 0.7 < shrunk["l2"][1]
    torch.testing.assert_close(shrunk["decoupled"], torch.full((2,), math.exp(-1)), atol=0.15, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_shrinking_leaves_the_values_and_divides_the_gradient(dtype):
    embedded = torch.randn(50, 8).to(dtype).requires_grad_()
    shrunk = penalty.shrink_embedding_gradient(embedded, 0.25)
    assert torch.equal(shrunk, embedded)
    shrunk.sum().backward()
    assert (embedded.grad == 0.25).all()
    with pytest.raises(ValueError, match="expected 0 to 1"):
        penalty.shrink_embedding_gradient(embedded, 1.5)
