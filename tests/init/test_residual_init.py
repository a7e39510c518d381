"""Depth-scaled, Fixup and T-Fixup: the values of the papers, on branches found by structure."""

import math

import pytest
import torch
from torch import nn

from steadygrad.init import depth_scaled_residual_, fixup_, tfixup_
from tests.kinds_of_models import GPT, Encoder, Residual, chain, rms, series, vectors, words


def test_the_last_projection_of_each_branch_is_divided_by_the_root_of_twice_the_depth():
    model, batch = GPT(layers=3), words(count=50)
    before = {name: param.clone() for name, param in model.named_parameters()}
    record = depth_scaled_residual_(model, batch)
    last = {f"blocks.{n}.{name}.weight" for n in range(3) for name in ("out", "down")}
    assert set(record.factors) == last
    for name, param in model.named_parameters():
        factor = 1 / math.sqrt(6) if name in last else 1.0
        assert torch.allclose(param, before[name] * factor), name


def test_a_branch_that_ends_in_a_norm_is_left_and_a_chain_has_none():
    record = depth_scaled_residual_(Residual(3, 8, norm=True), vectors())
    assert record.factors == {}
    assert len(record.where("left alone")) == 3
    with pytest.raises(ValueError, match="no residual branches"):
        depth_scaled_residual_(chain(), vectors())


@pytest.mark.parametrize("conv", [False, True])
def test_fixup_starts_every_block_as_the_identity(conv):
    model, batch = Residual(16, 32, conv=conv), torch.randn(4, 3, 6, 6) if conv else vectors(256)
    record = fixup_(model, batch, generator=torch.Generator().manual_seed(0))
    stem = model.stem(batch)
    x = stem
    for block in model.blocks:
        x = x + block(x)
    assert torch.equal(x, stem)
    assert not model(batch).any() or model.head.bias.any()
    inner = model.blocks[0][0].weight
    # He for ReLU, times L^(-1/(2m-2)) = 16^(-1/2).
    assert inner.std().item() == pytest.approx(math.sqrt(2 / inner[0].numel()) / 4, rel=0.1)
    assert "head.weight" in record.where("zero")


def test_fixup_learns_at_all():
    torch.manual_seed(0)
    model, batch = Residual(10, 16), vectors(64)
    target = (batch[:, 0] > 0).long()
    fixup_(model, batch)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(batch), target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[0] == pytest.approx(math.log(5), abs=0.05)
    assert losses[-1] < 0.3


def test_tfixup_scales_values_outputs_and_mlps_of_encoder_and_decoder():
    model = nn.Transformer(24, 2, 2, 2, 32, batch_first=True)
    record = tfixup_(model, (torch.randn(2, 3, 24), torch.randn(2, 4, 24)))
    encoder, decoder = 0.67 * 2**-0.25, 18**-0.25
    for name, factor in record.factors.items():
        assert factor == pytest.approx(encoder if name.startswith("encoder") else decoder)
    packed = model.encoder.layers[0].self_attn.in_proj_weight
    bound = math.sqrt(6 / (72 + 24))  # Xavier, uniform
    assert packed[:48].abs().max().item() == pytest.approx(bound, rel=0.05)
    assert packed[48:].abs().max().item() == pytest.approx(bound * encoder, rel=0.05)  # the value


def test_tfixup_scales_embeddings():
    model, batch = GPT(layers=2, width=64, words=500), words(count=500)
    tfixup_(model, batch)
    assert rms(model.tokens.weight) == pytest.approx(0.67 * 2**-0.25 / 8, rel=0.05)


def test_frozen_weights_are_left_alone():
    model = Encoder(2)
    model.layers.layers[0].linear2.weight.requires_grad_(False)
    before = model.layers.layers[0].linear2.weight.clone()
    assert depth_scaled_residual_(model, series(width=10)).where("left alone") == ["layers.layers.0.linear2.weight"]
    assert torch.equal(before, model.layers.layers[0].linear2.weight)
