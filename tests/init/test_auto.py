"""auto_ on models of many kinds, each spoilt in many ways: signal, gradient, loss and recurrence are sound after it."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import steadygrad as sg
from steadygrad.init import auto_, lsuv_
from steadygrad.measure.calling import call_model, tensors_in
from tests.kinds_of_models import (
    FAULTS,
    GPT,
    MODELS,
    HandLSTM,
    HandRNN,
    Recurrent,
    Residual,
    chain,
    gains,
    geometric_mean,
    rms,
    series,
    sizes_of,
    spoil,
    vectors,
    words,
)  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def forward_gains(name, model, batch):
    """From layer to layer in a chain, from block to block in a residual net; the head is not counted."""
    if "chain" in name or name == "reused":
        return gains(sizes_of(model, batch, (nn.Linear, nn.Conv2d))[:-1])
    seen = []

    def note(module, args):
        seen.append(rms(args[0]))

    if name.startswith("gpt"):
        places = [block["n1"] for block in model.blocks] + [model.norm]
    elif name.startswith("residual"):
        places = list(model.blocks)
    elif "norm" in name:
        return gains(sizes_of(model, batch, nn.TransformerEncoderLayer))
    else:
        return [1.0]
    handles = [place.register_forward_pre_hook(note) for place in places]
    call_model(model, batch)
    for handle in handles:
        handle.remove()
    return gains(seen)


def radii(model):
    for name, param in model.named_parameters():
        weight = param.detach()
        if "weight_hh" in name:
            owner = model.get_submodule(name.rpartition(".")[0])
            gates = weight.chunk(weight.shape[0] // owner.hidden_size)
        elif name == "U":
            gates = [weight]
        elif name == "gates.weight":
            gates = [gate[:, 6:] for gate in weight.chunk(4)]
        else:
            continue
        yield from (torch.linalg.eigvals(gate).abs().max().item() for gate in gates if gate.shape[0] == gate.shape[1])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", MODELS)
def test_whatever_was_wrong_with_the_weights(name, fault):
    torch.manual_seed(0)
    make, data = MODELS[name]
    model, batch = make(), data()
    spoil(model, fault)
    auto_(model, batch, generator=seeded(1))

    forward = forward_gains(name, model, batch)
    assert all(0.8 <= gain <= 1.25 for gain in forward)
    assert 0.8 <= geometric_mean(forward) <= 1.25
    assert all(abs(radius - 1) < 1e-3 for radius in radii(model))

    logits = tensors_in(call_model(model, batch))[0]
    classes = logits.shape[-1]
    targets = torch.randint(classes, logits.shape[:-1]).flatten()
    loss = F.cross_entropy(logits.flatten(0, -2), targets)
    assert loss.item() == pytest.approx(math.log(classes), abs=0.35)
    loss.backward()
    norms = [param.grad.norm().item() for param in model.parameters() if param.ndim > 1 and param.grad is not None]
    assert min(norms) > 0
    assert max(norms) / min(norms) < 1e3
    assert max(norms) < 20


@pytest.mark.parametrize("name", ["relu-chain", "tanh-chain", "residual-60", "gpt"])
def test_the_gradient_keeps_its_size_from_layer_to_layer(name):
    torch.manual_seed(0)
    make, data = MODELS[name]
    model, batch = make(), data()
    spoil(model, "normal")
    auto_(model, batch, generator=seeded(1))
    kinds = (nn.Linear,) if "chain" in name else (nn.LayerNorm,) if name == "gpt" else (nn.Sequential,)
    seen = []
    handles = [
        module.register_full_backward_hook(lambda module, grads, outer: seen.append(rms(outer[0])))
        for module in model.modules()
        if isinstance(module, kinds) and module is not model
    ]
    if batch.is_floating_point():
        batch.requires_grad_()
    call_model(model, batch).square().mean().backward()
    for handle in handles:
        handle.remove()
    assert 0.8 <= geometric_mean(gains(seen[1:])) <= 1.25


def test_two_times_the_same_seed_is_two_times_the_same_model():
    model, batch = GPT(), words(count=50)
    again = copy.deepcopy(model)
    auto_(model, batch, generator=seeded(3))
    auto_(model, batch, generator=seeded(3))
    auto_(again, batch, generator=seeded(3))
    for left, right in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.allclose(left, right, rtol=1e-3, atol=1e-6)


def test_the_record_says_what_where_and_why():
    record = auto_(GPT(), (words(count=50), words(count=50)), generator=seeded())
    text = str(record)
    assert "8 residual branches" in text
    assert "attention" in text
    assert all(step.why for step in record)
    assert len(text.splitlines()) < 15


class Designed(nn.Module):
    """What people set on purpose: a LoRA pair on a frozen layer, LayerScale, ReZero, adaLN-zero, a learned position."""

    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Linear(10, width)
        self.frozen = nn.Linear(width, width)
        self.lora_a, self.lora_b = nn.Linear(width, 4, bias=False), nn.Linear(4, width, bias=False)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)
        self.layer_scale = nn.Parameter(torch.full((width,), 1e-4))
        self.alpha = nn.Parameter(torch.zeros(()))
        self.condition, self.modulate = nn.Linear(10, width), nn.Linear(width, 2 * width)
        self.position = nn.Parameter(torch.randn(1, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.control = nn.Linear(width, width)
        self.normed = parametrizations.spectral_norm(nn.Linear(width, width))
        self.weighted = parametrizations.weight_norm(nn.Linear(width, width))
        self.gate, self.head = nn.Linear(width, width), nn.Linear(width, 3)
        self.frozen.requires_grad_(False)
        for module in (self.lora_b, self.modulate, self.control):
            nn.init.zeros_(module.weight)
        nn.init.zeros_(self.modulate.bias)
        nn.init.constant_(self.gate.bias, -2.0)
        nn.init.constant_(self.head.bias, -4.6)

    def forward(self, x):
        shift, gate = self.modulate(F.silu(self.condition(x))).chunk(2, -1)
        x = self.stem(x) + self.position
        x = self.frozen(x) + self.lora_b(self.lora_a(x))
        x = x + self.layer_scale * self.down(torch.relu(self.up(x)))
        x = x + self.alpha * torch.tanh(self.weighted(x))
        x = x + gate * self.normed(self.norm(x) + shift)
        x = x + self.control(torch.relu(x))
        share = torch.sigmoid(self.gate(x))
        return self.head(share * torch.tanh(x) + (1 - share) * x)


def test_what_is_set_on_purpose_stays():
    torch.manual_seed(0)
    model, batch = Designed(), vectors()
    kept = (
        "frozen.weight", "frozen.bias", "lora_b.weight", "layer_scale", "alpha", "modulate.weight", "modulate.bias",
        "position", "norm.weight", "norm.bias", "control.weight", "gate.bias", "head.bias",
    )  # fmt: skip
    params = dict(model.named_parameters())
    before = {name: params[name].clone() for name in kept}
    effective = model.normed.weight.clone()
    auto_(model, batch, generator=seeded())
    for name in kept:
        assert torch.equal(params[name], before[name]), name
    assert torch.allclose(effective, model.normed.weight, atol=1e-3)
    assert not model.frozen.weight.requires_grad
    assert model.normed.training


def test_the_model_is_left_as_it_was_but_for_its_weights():
    model, batch = Residual(3, 16, norm=True, conv=True), torch.randn(8, 3, 6, 6)
    model.blocks[1].eval()
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    rng = torch.get_rng_state()
    auto_(model, batch, generator=seeded())
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert [block.training for block in model.blocks] == [True, False, True]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_models(dtype):
    model, batch = chain(6).to(dtype), vectors().to(dtype)
    spoil(model, "huge" if dtype == torch.bfloat16 else "gain-5")
    auto_(model, batch)
    assert all(param.dtype == dtype for param in model.parameters())
    assert all(0.8 < gain < 1.25 for gain in gains(sizes_of(model, batch, nn.Linear)[:-1]))


def test_long_sequences_get_gates_for_long_memory_and_others_an_open_one():
    long, short = Recurrent("LSTM"), Recurrent("LSTM")
    assert auto_(long, words(length=150)).where("chrono") == ["rnn.bias_ih_l0"]
    assert auto_(short, words(length=10)).where("forget bias") == ["rnn.bias_ih_l0"]
    assert (short.rnn.bias_ih_l0 + short.rnn.bias_hh_l0)[24:48].tolist() == [1.0] * 24


def test_relu_states_carry_on_without_growing():
    for model, batch in (
        (HandRNN(activation=torch.relu), series(length=60)),
        (Recurrent("RNN", nonlinearity="relu"), words(length=60)),
    ):
        auto_(model, batch)
        logits = call_model(model, batch)
        assert rms(logits) < 1
    assert torch.equal(model.rnn.weight_hh_l0.detach(), torch.eye(24))


def test_padding_rows_stay_zero_and_the_input_columns_of_a_cell_are_of_unit_size():
    model = Recurrent("LSTM")
    auto_(model, words())
    assert not model.words.weight[0].any()
    cell, batch = HandLSTM(), series()
    auto_(cell, batch)
    assert rms(batch[:, 0] @ cell.gates.weight[:, :6].T) / rms(batch[:, 0]) == pytest.approx(1, rel=0.2)


def test_a_loss_function_is_noted():
    record = auto_(chain(), (vectors(), torch.randint(5, (64,))), F.cross_entropy, generator=seeded())
    (step,) = [step for step in record if step.what == "loss"]
    assert float(step.why.split()[0]) == pytest.approx(math.log(5), abs=0.1)


class Squares(nn.Module):
    """Gated branches without a norm: a polynomial of high degree."""

    def __init__(self, blocks=12, width=16):
        super().__init__()
        self.stem = nn.Linear(10, width)
        self.blocks = nn.ModuleList(
            nn.ModuleList([nn.Linear(width, 32), nn.Linear(width, 32), nn.Linear(32, width)]) for _ in range(blocks)
        )

    def forward(self, x):
        x = self.stem(x)
        for gate, up, down in self.blocks:
            x = x + down(F.silu(gate(x)) * up(x))
        return x


def test_branches_that_square_their_data_start_at_zero():
    model = Squares()
    record = auto_(model, vectors())
    assert record.where("zero").count("blocks.3.2.weight") == 1
    assert rms(model(10 * vectors())) < 20


def test_a_compiled_model_is_treated_like_a_plain_one():
    plain = chain(4)
    compiled = copy.deepcopy(plain)
    compiled.compile(backend="eager")
    batch = vectors()
    auto_(plain, batch, generator=seeded())
    record = auto_(torch.compile(compiled, backend="eager"), batch, generator=seeded())
    assert "chain of 6 weights" in str(record)
    assert all(map(torch.equal, plain.parameters(), compiled.parameters()))


def test_models_without_memory_or_weights():
    with pytest.raises(ValueError, match="meta device"):
        auto_(chain().to("meta"), vectors().to("meta"))
    assert "no weights" in str(auto_(nn.ReLU(), vectors()))


def test_weights_that_are_not_finite_are_drawn_anew():
    model, batch = chain(3), vectors()
    with torch.no_grad():
        model[2].weight.fill_(torch.nan)
    auto_(model, batch)
    assert torch.isfinite(model(batch)).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt2", "llama", "bart", "bert", "mamba"])
def test_models_of_hugging_face(kind):
    import transformers

    transformers.logging.set_verbosity_error()
    small = {"num_hidden_layers": 4, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    sides = {
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))
    }
    make = {
        "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=4, n_embd=32, n_head=4, vocab_size=50, **ends)),
        "llama": lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=50, num_key_value_heads=2, **small, **ends)),
        "bart": lambda: transformers.BartForConditionalGeneration(
            transformers.BartConfig(vocab_size=50, d_model=32, max_position_embeddings=32, decoder_start_token_id=1, forced_eos_token_id=2, **sides, **ends)
        ),
        "bert": lambda: transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=50, **small)),
        "mamba": lambda: transformers.MambaForCausalLM(transformers.MambaConfig(num_hidden_layers=3, hidden_size=32, vocab_size=50, state_size=4)),
    }  # fmt: skip
    torch.manual_seed(0)
    model = make[kind]()
    spoil(model, "normal")
    tokens = words(8, 12, 50)
    batch = {"input_ids": tokens, "labels": words(8, 12, 50)}
    auto_(model, batch, generator=seeded())
    output = call_model(model, batch)
    assert output["loss"].item() == pytest.approx(math.log(50), abs=0.35)
    output["loss"].backward()
    norms = [param.grad.norm().item() for param in model.parameters() if param.ndim > 1 and param.grad is not None]
    assert 0 < min(norms) < max(norms) < 20


def learns(prepare, steps=150):
    """The loss of a plain net of 50 layers after some steps, from log 2."""
    torch.manual_seed(0)
    layers = [nn.Linear(8, 48), nn.ReLU()]
    for _ in range(48):
        layers += [nn.Linear(48, 48), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(48, 2))
    x = torch.randn(512, 8)
    y = (x[:, 0] * x[:, 1] > 0).long()
    prepare(model, x[:256])
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return loss.item()


@pytest.mark.slow
def test_fifty_plain_layers_learn_with_it_and_not_without():
    assert learns(lambda model, x: None) > 0.68
    assert learns(lambda model, x: auto_(model, x, generator=seeded())) < 0.35
    assert learns(lambda model, x: lsuv_(model, x, generator=seeded())) < 0.35


def pooled(pool, channels=24):
    layers = []
    for place in range(3):
        layers += [nn.Conv2d(channels if place else 3, channels, 3, padding=1), nn.ReLU(), pool()]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(32), nn.ReLU(), nn.Linear(32, 5))


@pytest.mark.parametrize("pool", [lambda: nn.MaxPool2d(2), lambda: nn.MaxPool2d(3, 2, 1), nn.Identity])
def test_max_pooling_is_shared_between_signal_and_gradient(pool):
    torch.manual_seed(0)
    model, x, y = pooled(pool), torch.randn(32, 3, 16, 16), torch.randint(5, (32,))
    model(x)  # a lazy layer takes its shape
    auto_(model, x)
    found = sg.check(model, (x, y), nn.CrossEntropyLoss()).measurements
    gains = {each.quantity: each.value for each in found if each.quantity.endswith("gain per layer")}
    assert len(gains) == 2
    assert all(0.8 <= gain <= 1.25 for gain in gains.values()), gains


def test_a_norm_whose_shift_switches_its_units_off_is_shifted_back():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    with torch.no_grad():
        model[1].bias.fill_(-8.0)
    record = auto_(model, torch.randn(64, 4))
    assert "1.bias" in record.where("zero")
    assert not model[1].bias.any()


@pytest.mark.parametrize(("gain", "shift"), [(1.0, 0.5), (1.0, -1.0), (0.0, 0.0), (1.0, 8.0)])
def test_other_norms_are_left_alone(gain, shift):
    model = nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 2))
    with torch.no_grad():
        model[1].weight.fill_(gain)
        model[1].bias.fill_(shift)
    auto_(model, torch.randn(64, 4))
    assert (model[1].weight == gain).all()
    assert (model[1].bias == shift).all()
