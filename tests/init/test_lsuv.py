"""LSUV on real models: unit size everywhere, and nothing else changed."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from steadygrad.init import lsuv_
from tests.kinds_of_models import (
    GPT,
    HandRNN,
    Recurrent,
    Reused,
    chain,
    conv_chain,
    images,
    rms,
    series,
    sizes_of,
    vectors,
    words,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid])
@pytest.mark.parametrize("orthogonal", [True, False])
def test_every_layer_of_a_chain_has_unit_size(activation, orthogonal):
    model, batch = chain(20, activation=activation), vectors(128)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    record = lsuv_(model, batch, orthogonal=orthogonal, generator=seeded())
    sizes = sizes_of(model, batch, nn.Linear)
    assert len(sizes) == 22
    assert all(abs(size - 1) <= 0.05 for size in sizes)
    assert set(record.factors) <= {name for name, param in model.named_parameters() if param.ndim > 1}


def test_convolutions_of_all_kinds_and_bilinear():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 8, 3, bias=False)
            self.depthwise = nn.Conv2d(8, 8, 3, groups=8, bias=False)
            self.up = nn.ConvTranspose2d(8, 6, 4, stride=2, bias=False)
            self.pair = nn.Bilinear(6, 6, 5, bias=False)

        def forward(self, x):
            x = self.up(self.depthwise(self.down(x).relu()).relu()).mean((2, 3))
            return self.pair(x, x)

    model, batch = Net(), images()
    record = lsuv_(model, batch)
    assert all(abs(size - 1) <= 0.05 for size in sizes_of(model, batch, (nn.Conv2d, nn.ConvTranspose2d, nn.Bilinear)))
    assert len(record.where("orthogonal")) == 4


def test_a_fused_bias_is_not_counted_and_not_touched():
    model, batch = chain(4), vectors()
    torch.nn.init.constant_(model[2].bias, 3.0)
    before = [module.bias.clone() for module in model if isinstance(module, nn.Linear)]
    lsuv_(model, batch)
    after = [module.bias for module in model if isinstance(module, nn.Linear)]
    assert all(map(torch.equal, before, after))
    with torch.no_grad():
        product = model[2](model[:2](batch)) - model[2].bias
    assert abs(rms(product) - 1) <= 0.05


def test_call_order_counts_and_a_reused_layer_is_scaled_once_at_its_first_use():
    model, batch = Reused(), vectors()
    record = lsuv_(model, batch, orthogonal=False, generator=seeded())
    sizes = sizes_of(model, batch, nn.Linear)
    # first and again's first use are at 1 but for their biases; its later uses are what they are.
    assert sizes[0] == pytest.approx(1, abs=0.1)
    assert sizes[1] == pytest.approx(1, abs=0.1)
    assert [step.where for step in record if step.what == "scale"] == ["first.weight", "again.weight", "head.weight"]


def test_weights_that_a_forward_uses_by_itself_are_seen():
    model, batch = HandRNN(), series()
    record = lsuv_(model, batch)
    assert "W" in record.factors
    assert "V" in record.factors
    assert record.where("left alone") == ["U"]
    assert rms(batch[:, 0] @ model.W) == pytest.approx(1, abs=0.1)  # it was scaled on the first of twelve steps


def test_tied_weights_and_attention():
    model, batch = GPT(tied=True), words(count=50)
    record = lsuv_(model, batch, generator=seeded())
    assert rms(model.tokens(batch)) == pytest.approx(1, abs=0.06)
    assert {f"blocks.{n}.qkv.weight" for n in range(4)} <= set(record.factors)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("packed", [False, True])
def test_input_weights_of_recurrent_modules(kind, packed):
    model = Recurrent(kind, 2, 2)
    batch = (words(), torch.arange(5, 13)) if packed else words()
    hidden = model.rnn.weight_hh_l0.clone()
    lsuv_(model, batch)
    assert torch.equal(hidden, model.rnn.weight_hh_l0)
    x = model.words(batch[0] if packed else batch)
    assert rms(x @ model.rnn.weight_ih_l0.T) == pytest.approx(1, abs=0.06)


def test_weights_so_large_that_the_pass_overflows():
    model, batch = chain(10), vectors()
    with torch.no_grad():
        for param in model.parameters():
            if param.ndim > 1:
                param.normal_().mul_(1e30)
    lsuv_(model, batch, orthogonal=False)
    assert all(size == pytest.approx(1, abs=0.15) for size in sizes_of(model, batch, nn.Linear))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes(dtype):
    model, batch = conv_chain(4).to(dtype), images().to(dtype)
    lsuv_(model, batch)
    assert all(param.dtype == dtype for param in model.parameters())
    assert all(size == pytest.approx(1, abs=0.1) for size in sizes_of(model, batch, nn.Conv2d))


def test_half_weights_that_overflow_their_dtype():
    model, batch = chain(4).half(), vectors().half()
    with torch.no_grad():
        model[2].weight.fill_(30000.0)
    lsuv_(model, batch, orthogonal=False)
    assert torch.isfinite(model(batch)).all()


def test_zero_frozen_infinite_and_normalised_weights_are_left_and_told():
    model, batch = chain(4), vectors()
    nn.init.zeros_(model[2].weight)
    model[4].weight.requires_grad_(False)
    frozen = model[4].weight.clone()
    parametrizations.spectral_norm(model[6])
    parametrizations.weight_norm(model[8])
    record = lsuv_(model, batch)
    told = {step.where: step.why for step in record if step.what == "left alone"}
    assert "zero" in told["2.weight"]
    assert told["4.weight"] == "frozen"
    assert "parametrisation" in told["6.weight"]
    assert not model[2].weight.any()
    assert torch.equal(frozen, model[4].weight)
    assert "8.weight" in record.factors
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    assert "not finite" in {step.where: step.why for step in lsuv_(model, batch)}["0.weight"]


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(), nn.Conv2d(8, 4, 3)
    )
    model[3].eval()
    calls = []
    handle = model[0].register_forward_hook(lambda *args: calls.append(1))
    model[4].bias.requires_grad_(False)
    others = {
        name: value.clone() for name, value in model.state_dict().items() if not name.endswith("weight") or "1." in name
    }
    batch, rng = images(), torch.get_rng_state()
    lsuv_(model, batch, generator=seeded())
    assert torch.equal(rng, torch.get_rng_state())
    assert model.training
    assert not model[3].training
    assert not model[4].bias.requires_grad
    assert model[0].weight.requires_grad
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in others.items())
    assert len(model[0]._forward_hooks) == 1
    assert not model[4]._forward_hooks
    assert not model._forward_hooks
    assert all(param.grad is None for param in model.parameters())
    assert len(calls) <= 5
    handle.remove()


def test_a_generator_makes_it_the_same_again():
    first, batch = chain(), vectors()
    second = copy.deepcopy(first)
    lsuv_(first, batch, generator=seeded(3))
    torch.rand(7)
    lsuv_(second, batch, generator=seeded(3))
    assert all(map(torch.equal, first.parameters(), second.parameters()))


def test_a_second_time_changes_nothing():
    model, batch = conv_chain(), images()
    lsuv_(model, batch)
    before = [param.clone() for param in model.parameters()]
    assert lsuv_(model, batch, orthogonal=False).factors == {}
    assert all(map(torch.equal, before, model.parameters()))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(-12, 12), min_size=2, max_size=6),
    st.floats(0.2, 5.0),
    st.sampled_from([nn.ReLU, nn.Tanh, nn.Identity]),
)
def test_whatever_the_scales_were(scales, target, activation):
    torch.manual_seed(0)
    model = nn.Sequential(*[layer for _ in scales for layer in (nn.Linear(16, 16, bias=False), activation())])
    with torch.no_grad():
        for layer, scale in zip(model[::2], scales, strict=True):
            layer.weight.mul_(10.0**scale)
    batch = torch.randn(32, 16)
    lsuv_(model, batch, target=target, orthogonal=False)
    assert all(size == pytest.approx(target, rel=0.051) for size in sizes_of(model, batch, nn.Linear))


@pytest.mark.parametrize("arguments", [{"target": 0}, {"tolerance": -1.0}, {"target": float("nan")}])
def test_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match="expected a positive number"):
        lsuv_(chain(), vectors(), **arguments)
