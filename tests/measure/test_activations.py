"""What modules put out: the pure measures against brute force; the probe sees, and nothing notices it."""

import copy
import gc
import io
import pickle
import threading
import weakref
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from steadygrad.measure.activation_probe import ActivationProbe
from steadygrad.measure.activations import dead_fraction, saturated_fraction


@pytest.fixture(autouse=True)
def _no_error_of_ours(caplog):
    """A probe that has stopped itself would look like one that has seen nothing."""
    yield
    assert "has stopped itself" not in caplog.text


def brute_dead(output, dim):
    units = output.movedim(dim, 0)
    return sum(bool((unit == 0).all()) for unit in units) / len(units)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_dead_fraction_is_the_share_of_units_that_are_zero_throughout(shape, data):
    output = torch.randn(shape, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))).relu()
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    assert dead_fraction(output, dim).item() == pytest.approx(brute_dead(output, dim))


def test_units_are_channels_of_maps_and_features_of_the_rest():
    output = torch.ones(2, 4, 3, 3)
    output[:, 1] = 0
    assert dead_fraction(output).item() == 0.25
    assert dead_fraction(output, -1).item() == 0
    assert dead_fraction(torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])).item() == 0.5
    assert dead_fraction(torch.tensor(0.0)).item() == 1
    assert dead_fraction(torch.tensor([0.0, -0.0, float("nan")])).item() == pytest.approx(2 / 3)
    with pytest.raises(IndexError, match="dim is 2, expected"):
        dead_fraction(torch.ones(2, 2), 2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), max_size=30), st.floats(0, 0.49))
def test_saturated_fraction_counts_what_lies_at_the_ends(values, margin):
    output = torch.tensor(values, dtype=torch.float64)
    width = margin * 2
    expected = sum(value <= -1 + width or value >= 1 - width for value in values) / max(1, len(values))
    assert saturated_fraction(output, -1, 1, margin).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"), [((1, 1), "low is 1"), ((0, 1, 0.5), "margin is 0.5"), ((0, 1, -0.1), "margin is -0.1")]
)
def test_a_range_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        saturated_fraction(torch.ones(1), *options)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_reduced_precision_counts_exactly(dtype):
    output = torch.zeros(1, 5000, dtype=dtype)
    output[0, :1234] = 1  # more than half precision can count to
    for measured, expected in [(dead_fraction(output), 3766 / 5000), (saturated_fraction(output, -1, 1), 1234 / 5000)]:
        assert measured.dtype == torch.float32
        assert measured.shape == ()
        assert measured.item() == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_nothing_is_neither_dead_nor_saturated(shape):
    assert dead_fraction(torch.zeros(shape)).item() == 0
    assert saturated_fraction(torch.zeros(shape), 0, 1).item() == 0


def test_the_pure_measures_compile_whole():
    output = torch.randn(4, 6).relu()
    dead = torch.compile(dead_fraction, fullgraph=True, backend="aot_eager")
    saturated = torch.compile(saturated_fraction, fullgraph=True, backend="aot_eager")
    assert torch.equal(dead(output), dead_fraction(output))
    assert torch.equal(saturated(output, 0, 1), saturated_fraction(output, 0, 1))


@pytest.fixture
def mesh():
    from torch.distributed.tensor import init_device_mesh

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("dim", [0, 1])
def test_sharded_tensors(mesh, dim):
    from torch.distributed.tensor import Shard, distribute_tensor

    output = torch.randn(2, 6).relu()
    sharded = distribute_tensor(output, mesh, [Shard(dim)])
    assert torch.equal(dead_fraction(sharded).full_tensor(), dead_fraction(output))
    assert torch.equal(saturated_fraction(sharded, 0, 1).full_tensor(), saturated_fraction(output, 0, 1))
    model = nn.ReLU()
    with ActivationProbe(model, every=1) as probe:
        model(sharded)
    assert type(probe.read()[""].rms) is torch.Tensor
    assert torch.equal(probe.read()[""].dead_fraction, dead_fraction(output))


def train(model, batch, probes=0, steps=4, loss=None, autocast=False):
    """Losses and weights of a short training with dropout's randomness, under so many probes."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    attached = [ActivationProbe(model, every=every + 1) for every in range(probes)]
    losses = []
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            value = (loss or (lambda output: output.square().mean()))(model(batch))
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(value.detach())
    read = [probe.read() for probe in attached]
    for probe in attached:
        probe.close()
    return losses, [param.detach().clone() for param in model.parameters()], torch.get_rng_state(), read


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True), nn.Dropout(0.3))
        self.reentrant = reentrant

    def forward(self, batch):
        return checkpoint(self.inner, batch.requires_grad_(), use_reentrant=self.reentrant)


class Last(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn = kind(6, 5, batch_first=True, num_layers=2, dropout=0.2)

    def forward(self, batch):
        return self.rnn(batch.unsqueeze(1).expand(-1, 3, -1))[0][:, -1]


MODELS = {
    "in-place ReLU": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(8, 3)),
    "in-place ReLU on a view": lambda: nn.Sequential(nn.Linear(6, 8), nn.Flatten(), nn.ReLU(inplace=True), nn.Tanh()),
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU6(inplace=True), nn.Sigmoid()),
    "lstm": lambda: Last(nn.LSTM),
    "gru": lambda: Last(nn.GRU),
    "weight norm": lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 8)), nn.Hardtanh()),
    "checkpoint": lambda: Checkpointed(False),
    "reentrant checkpoint": lambda: Checkpointed(True),
    "one layer": lambda: nn.Linear(6, 2),
    "transformer": lambda: nn.TransformerEncoderLayer(6, 2, 8),
}


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_training_is_bit_identical(name, autocast):
    if autocast and name == "lstm" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("torch has no LSTM in bfloat16 for this processor")
    torch.manual_seed(0)
    model = MODELS[name]()
    batch = torch.randn(4, 6)
    bare = train(copy.deepcopy(model), batch.clone(), autocast=autocast)
    watched = train(model, batch.clone(), probes=2, autocast=autocast)
    assert all(map(torch.equal, bare[0], watched[0]))
    assert all(map(torch.equal, bare[1], watched[1]))
    assert torch.equal(bare[2], watched[2])
    for read in watched[3]:
        assert read, "nothing was measured: the comparison would show nothing"
        for stats in read.values():
            assert stats.nonfinite_count.item() == 0
            assert stats.rms.dtype == torch.float32
    assert no_hooks(model)


def no_hooks(model):
    return not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def hooked(model):
    return [path for path, module in model.named_modules() if module._forward_hooks or module._forward_pre_hooks]


def test_it_measures_what_was_put_out_and_what_came_back():
    torch.manual_seed(0)
    first, relu, last = nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)
    with torch.no_grad():
        first.bias[:3] = -1e3
    model = nn.Sequential(first, relu, last)
    batch = torch.randn(5, 6)
    with ActivationProbe(model, every=1) as probe:
        model(batch).square().sum().backward()
    stats = probe.read()

    linear = first(batch)
    hidden = linear.relu()
    output = last(hidden)
    grads = torch.autograd.grad(output.square().sum(), [linear, hidden, output])
    for path, tensor, grad in zip("012", [linear, hidden, output], grads, strict=True):
        assert stats[path].rms.item() == pytest.approx(tensor.square().mean().sqrt().item())
        assert stats[path].grad_rms.item() == pytest.approx(grad.square().mean().sqrt().item())
        assert stats[path].grad_nonfinite_count.item() == 0
        assert stats[path].calls == 1
    assert stats["1"].dead_fraction.item() == pytest.approx(brute_dead(hidden, 1))
    assert stats["1"].dead_fraction.item() >= 3 / 8
    assert stats["0"].dead_fraction is None


def test_it_counts_what_is_not_finite_and_measures_the_rest():
    model = nn.Sequential(nn.Identity(), nn.Linear(2, 1))
    batch = torch.tensor([[3.0, float("nan")], [float("inf"), 4.0]], requires_grad=True) * 1
    with ActivationProbe(model, every=1) as probe:
        (model(batch) * float("inf")).sum().backward()
    stats = probe.read()
    assert stats["0"].nonfinite_count.item() == 2
    assert stats["0"].rms.item() == pytest.approx(12.5**0.5)
    assert stats["1"].grad_nonfinite_count.item() == 2
    assert stats["1"].grad_rms.item() == 0


@pytest.mark.parametrize(
    ("module", "batch", "expected"),
    [
        (nn.Sigmoid(), [[-9.0, 0.0, 9.0, 9.0]], 0.75),
        (nn.Tanh(), [[-9.0, 0.0, 0.5, 9.0]], 0.5),
        (nn.Hardsigmoid(), [[-3.0, 0.0, 2.99, 4.0]], 0.5),
        (nn.Hardtanh(-2, 2), [[-2.0, 0.0, 1.99, 2.5]], 0.5),
        (nn.ReLU6(), [[6.0, 7.0]], None),
        (nn.GELU(), [[6.0, 7.0]], None),
    ],
)
def test_saturation_of_bounded_nonlinearities(module, batch, expected):
    with ActivationProbe(module, every=1) as probe:
        module(torch.tensor(batch))
    saturated = probe.read()[""].saturated_fraction
    assert saturated is None if expected is None else saturated.item() == expected


@pytest.mark.parametrize(
    ("module", "dead"), [(nn.ReLU(), 0.5), (nn.ReLU6(), 0.5), (nn.Hardswish(), 0.5), (nn.LeakyReLU(), None)]
)
def test_dead_units_of_nonlinearities_that_are_zero_somewhere(module, dead):
    with ActivationProbe(module, every=1) as probe:
        module(torch.tensor([[-9.0, 1.0], [-8.0, -7.0]]))
    measured = probe.read()[""].dead_fraction
    assert measured is None if dead is None else measured.item() == dead


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_hidden_states_saturate(kind):
    torch.manual_seed(0)
    rnn = kind(3, 4)
    with torch.no_grad():
        for param in rnn.parameters():
            param.mul_(300)
    batch = torch.randn(5, 3) if isinstance(rnn, nn.modules.rnn.RNNCellBase) else torch.randn(7, 5, 3)
    with ActivationProbe(rnn, every=1) as probe:
        state = ((torch.zeros(5, 4), torch.full((5, 4), 9.0)),) if kind is nn.LSTMCell else ()
        hidden = rnn(batch, *state)
    hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    stats = probe.read()[""]
    assert stats.saturated_fraction.item() == pytest.approx((hidden.abs() >= 0.98).float().mean().item())
    assert stats.saturated_fraction.item() > 0.01
    assert stats.rms.item() == pytest.approx(hidden.square().mean().sqrt().item())


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_recurrent_layers_with_relu_die_and_projected_states_have_no_ends():
    rnn = nn.RNN(3, 4, nonlinearity="relu")
    projected = nn.LSTM(3, 4, proj_size=2)
    model = nn.ModuleDict({"rnn": rnn, "projected": projected})
    model.forward = lambda batch: (model["rnn"](batch)[0].sum() + model["projected"](batch)[0].sum()) * 1
    with torch.no_grad():
        rnn.bias_ih_l0[:2] = -1e3
    with ActivationProbe(model, every=1) as probe:
        model(torch.randn(3, 2, 3))
    assert probe.read()["rnn"].dead_fraction.item() >= 0.5
    assert probe.read()["rnn"].saturated_fraction is None
    assert probe.read()["projected"].saturated_fraction is None


def test_packed_sequences():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 4, batch_first=True)

        def forward(self, batch):
            packed, _ = self.rnn(pack_padded_sequence(batch, torch.tensor([4, 2]), batch_first=True))
            self.data = packed.data
            return pad_packed_sequence(packed, batch_first=True)[0]

    model = Packed()
    with ActivationProbe(model, every=1) as probe:
        model(torch.randn(2, 4, 3)).sum().backward()
    stats = probe.read()["rnn"]
    assert stats.rms.item() == pytest.approx(model.data.square().mean().sqrt().item()), "padding is not counted"
    assert stats.grad_rms.item() == 1


def test_a_state_that_is_used_alone_leaves_the_output_without_a_gradient():
    model = nn.LSTM(3, 4)
    with ActivationProbe(model, every=1) as probe:
        model(torch.randn(2, 1, 3))[1][0].sum().backward()
    assert probe.read()[""].grad_rms is None
    assert model.weight_hh_l0.grad is not None


@dataclass
class Answer:
    score: torch.Tensor
    hidden: torch.Tensor
    note: str = ""


class Answering(nn.Module):
    def __init__(self, pack):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.pack = pack

    def forward(self, batch):
        hidden = self.linear(batch)
        return self.pack(hidden.mean(), hidden * 1)


@pytest.mark.parametrize(
    "pack",
    [
        lambda score, hidden: (score, hidden),
        lambda score, hidden: {"score": score, "hidden": [hidden], "length": torch.tensor(3)},
        lambda score, hidden: Answer(score, hidden, "found"),
        lambda score, hidden: [None, (score, (hidden, "text", Answer))],
    ],
)
def test_outputs_of_many_kinds_are_left_as_they_are(pack):
    made = []

    def keep(*parts):
        made.append((parts, pack(*parts)))
        return made[-1][1]

    model = Answering(keep)
    with ActivationProbe(model, every=1, modules=[""]) as probe:
        output = model(torch.randn(2, 3))
        (_, hidden), packed = made[0]
        assert output is packed
        hidden.sum().backward()
    assert probe.read()[""].rms.item() == pytest.approx(hidden.square().mean().sqrt().item()), "not of the 0-d score"
    assert probe.read()[""].grad_rms.item() == 1


def test_a_module_without_floating_output_is_left_out():
    class Argmax(nn.Module):
        def forward(self, batch):
            return batch.argmax(-1)

    model = nn.Sequential(nn.Linear(3, 4), Argmax())
    with ActivationProbe(model, every=1) as probe:
        model(torch.randn(2, 3))
    assert list(probe.read()) == ["0"]


def test_of_a_module_that_is_called_again_the_largest_is_kept():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, batch):
            return self.relu(batch) + 5 * self.relu(torch.cat([batch, batch * float("nan")], 1) * 3)[:, :2]

    model = Twice()
    batch = torch.tensor([[-1.0, 2.0]], requires_grad=True) * 1
    with ActivationProbe(model, every=1) as probe:
        model(batch).sum().backward()
    stats = probe.read()["relu"]
    assert stats.calls == 2
    assert stats.nonfinite_count.item() == 2
    assert stats.rms.item() == pytest.approx(18**0.5)
    assert stats.dead_fraction.item() == 0.5
    assert stats.grad_rms.item() == pytest.approx(12.5**0.5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(3, 4, 1), (2, 3, 9)),
        (nn.Conv2d(3, 4, 1), (2, 3, 5, 5)),
        (nn.Conv2d(3, 4, 1), (3, 5, 5)),
        (nn.Linear(3, 4), (2, 6, 5, 3)),
        (nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 1), nn.Flatten()), (2, 3, 1, 1)),
        (nn.Sequential(nn.Conv1d(3, 4, 1), nn.BatchNorm1d(4), nn.Identity()), (2, 3, 9)),
    ],
)
def test_dead_units_are_sought_where_the_layer_before_works(layer, shape):
    with torch.no_grad():
        last = layer[1] if isinstance(layer, nn.Sequential) else layer
        last.bias.copy_(torch.tensor([-1e3, 1e3, -1e3, -1e3]))
    model = nn.Sequential(layer, nn.ReLU(inplace=True))
    with ActivationProbe(model, every=1, modules=["1"]) as probe:
        model(torch.randn(shape))
    assert {path: stats.dead_fraction.item() for path, stats in probe.read().items()} == {"1": 0.75}


def test_modules_are_chosen_by_name_or_by_a_function():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    batch = torch.randn(2, 2)
    for modules, expected in [
        (None, ["0", "1.0", "1.1"]),
        (["1", "1.1"], ["1.1", "1"]),
        (lambda path, module: isinstance(module, nn.ReLU), ["1.0"]),
    ]:
        with ActivationProbe(model, every=1, modules=modules) as probe:
            model(batch)
        assert list(probe.read()) == expected
    with pytest.raises(ValueError, match=r"modules has \['2'\], which Sequential has not"):
        ActivationProbe(model, modules=["2"])
    with pytest.raises(ValueError, match="every is 0, expected at least 1"):
        ActivationProbe(model, every=0)
    assert no_hooks(model)


def test_every_third_training_pass_is_looked_at_and_hooks_lie_on_leaves_only_then():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    seen = []
    model[1].register_forward_hook(lambda *_: seen.append("0" in hooked(model)))
    probe = ActivationProbe(model, every=3)
    calls = []
    for step in range(7):
        if step == 4:
            model.eval()
            model(torch.ones(1, 2))
            model.train()
            assert seen.pop() is False
        model(torch.full((1, 2), float(step)))
        calls.append(probe.read()["0"].rms)
        assert hooked(model) == ["", "1"]
    assert seen == [True, False, False, True, False, False, True]
    assert calls[0] is calls[2]
    assert calls[3] is calls[5]
    assert calls[2] is not calls[3]
    probe.close()
    assert hooked(model) == ["1"]


def test_frozen_parts_in_eval_mode_keep_their_fast_path():
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), nn.Linear(8, 2)).requires_grad_(False)
    model[0].eval()
    batch = torch.randn(2, 3, 8)
    bare = model(batch)
    with ActivationProbe(model, every=1) as probe:
        assert torch.equal(model(batch), bare)
    assert list(probe.read()) == ["1"]


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputation_is_not_counted(reentrant):
    model = Checkpointed(reentrant)
    calls = []
    model.inner[1].register_forward_hook(lambda *_: calls.append(1))
    with ActivationProbe(model, every=1) as probe:
        model(torch.randn(3, 6)).sum().backward()
    assert len(calls) == 2, "there was a recomputation to be counted"
    stats = probe.read()
    assert [stats[f"inner.{place}"].calls for place in range(3)] == [1, 1, 1]
    assert (stats["inner.0"].grad_rms is None) == reentrant


def test_a_checkpointed_model_passes_once_a_step():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    probe = ActivationProbe(model, every=2)
    seen = []
    for _ in range(4):
        checkpoint(model, torch.randn(2, 3), use_reentrant=False).sum().backward()
        seen.append(probe.read()["0"].rms)
    assert seen[0] is seen[1]
    assert seen[1] is not seen[2]
    assert seen[2] is seen[3]
    probe.close()


class Failing(nn.Module):
    def __init__(self, error=None):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.error = error

    def forward(self, batch):
        batch = self.linear(batch)
        if self.error:
            raise self.error
        return batch


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt("mine")])
def test_an_exception_in_forward_comes_through_and_leaves_no_armed_hooks(error, inner):
    failing = Failing(error)
    model = nn.Sequential(nn.Linear(2, 2), failing) if inner else failing
    probe = ActivationProbe(model, every=2, modules=lambda path, module: True)
    with pytest.raises(type(error), match="mine") as caught:
        model(torch.ones(1, 2))
    assert caught.value is error
    failing.error = None
    if isinstance(error, KeyboardInterrupt):
        copy.deepcopy(model)(torch.ones(1, 2))  # an interrupted model is saved
        model(torch.ones(1, 2))  # torch tells hooks nothing of an interrupt: the next pass puts it right
    assert hooked(model) == [""]
    model(torch.ones(1, 2))
    probe.close()
    assert no_hooks(model)


def test_an_error_of_ours_ends_the_probe_and_not_the_training(monkeypatch):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    errors = []
    ActivationProbe(model, every=1, on_error=errors.append)
    monkeypatch.setattr("steadygrad.measure.activation_probe._rms", lambda tensor: 1 / 0)
    for _ in range(3):
        model(torch.ones(1, 2)).sum().backward()
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert no_hooks(model)


def test_an_error_of_ours_in_the_backward_ends_the_probe_too(monkeypatch, caplog):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    ActivationProbe(model, every=1)
    output = model(torch.ones(1, 2)).sum()
    monkeypatch.setattr("steadygrad.measure.activation_probe._rms", lambda tensor: 1 / 0)
    output.backward()
    assert model[0].weight.grad is not None
    assert caplog.text.count("ActivationProbe has stopped itself") == 1
    caplog.clear()
    model(torch.ones(1, 2))
    assert no_hooks(model)


def test_graph_and_activations_are_not_kept_alive():
    alive = []

    class Keep(nn.Module):
        def forward(self, batch):
            output = batch * 2
            alive.append(weakref.ref(output))
            return output

    model = nn.Sequential(nn.Linear(2, 2), Keep(), nn.Linear(2, 2))  # which keeps its input in the graph
    gc.collect()
    gc.disable()
    try:
        with ActivationProbe(model, every=1) as probe:
            output = model(torch.ones(1, 2))
            assert alive[0]() is not None
            del output
            assert alive[0]() is None, "the graph is gone"
            output = model(torch.ones(1, 2)).sum()
            output.backward()
            assert alive[1]() is None, "the activation is gone"
            stats = probe.read()["0"]
            assert stats.grad_rms.item() > 0
            assert not stats.rms.requires_grad
            modules = [weakref.ref(module) for module in model.modules()]
            del model
            assert [reference() for reference in modules] == [None] * 4, "nor is the model"
    finally:
        gc.enable()


def test_close_takes_the_hooks_off_the_tensors_too():
    model = nn.Linear(2, 2)
    probe = ActivationProbe(model, every=1)
    before = model(torch.ones(1, 2))
    assert before._backward_hooks
    output = model(torch.ones(1, 2))
    assert not before._backward_hooks, "the gradient of the last sample is what is asked for"
    assert output._backward_hooks
    probe.close()
    assert not output._backward_hooks
    output.sum().backward()
    assert probe.read()[""].grad_rms is None


def test_a_tensor_of_the_user_gets_no_hook():
    model = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    batch = torch.ones(1, 2, requires_grad=True)
    with ActivationProbe(model, every=1):
        model(batch)
        assert not batch._backward_hooks


def test_copies_and_saved_models_have_no_probe():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    keys = list(model.state_dict())
    probe = ActivationProbe(model, every=1)
    model(torch.ones(1, 2))
    first = probe.read()["0"].rms
    buffer = io.BytesIO()
    torch.save(model, buffer)
    for other in [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(buffer_at(buffer), weights_only=False),
    ]:
        assert torch.equal(other(torch.ones(1, 2)), model[:](torch.ones(1, 2)))
        assert probe.read()["0"].rms is first
    assert b"steadygrad" not in buffer.getvalue()
    assert list(model.state_dict()) == keys
    probe.close()


def buffer_at(buffer):
    return io.BytesIO(buffer.getvalue())


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad])
def test_function_transforms_are_left_alone(transform):
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    params = dict(model.named_parameters())

    def loss(row):
        return torch.func.functional_call(model, params, (row,)).sum()

    probe = ActivationProbe(model, every=1)
    batch = torch.ones(3, 2) if transform is torch.func.vmap else torch.ones(2)
    assert transform(loss)(batch).isfinite().all()
    assert probe.read() == {}
    model(torch.ones(1, 2))
    assert list(probe.read()) == ["0", "1"]
    probe.close()


def test_gradients_in_batches_are_left_alone():
    model = nn.Linear(2, 3)
    with ActivationProbe(model, every=1) as probe:
        output = model(torch.ones(2))
        (jacobian,) = torch.autograd.grad(output, model.bias, torch.eye(3), is_grads_batched=True, retain_graph=True)
        assert torch.equal(jacobian, torch.eye(3))
        torch.func.vmap(lambda row: torch.autograd.grad(output, model.bias, row, retain_graph=True))(torch.eye(3))
        assert probe.read()[""].grad_rms is None
        output.sum().backward()
        assert probe.read()[""].grad_rms.item() == 1


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(("layout", "expected"), [(torch.jagged, 3), (torch.strided, 1)])
def test_of_nested_tensors_those_with_values_are_measured(layout, expected):
    class Nesting(nn.Module):
        def forward(self, batch):
            return torch.nested.nested_tensor(list(batch), layout=layout), torch.ones(2)

    model = nn.Sequential(nn.Identity(), Nesting())
    with ActivationProbe(model, every=1) as probe:
        model(torch.full((3, 2), 3.0))
    assert probe.read()["1"].rms.item() == expected


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_trace_has_nothing_of_ours():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    bare = torch.jit.trace(model, torch.ones(1, 2))
    with ActivationProbe(model, every=1) as probe:
        traced = torch.jit.trace(model, torch.ones(1, 2), check_trace=False)
        assert probe.read() == {}
    kinds = [[node.kind() for node in one.inlined_graph.nodes()] for one in (traced, bare)]
    assert kinds[0] == kinds[1]


def test_a_mode_of_the_user_sees_nothing_of_ours():
    class Names(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            names.append(func.__qualname__)
            return func(*args, **(kwargs or {}))

    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    seen = []
    for every in (None, 1):
        names = []
        probe = ActivationProbe(model, every=every) if every else None
        with Names():
            model(torch.ones(1, 2))
        if probe:
            assert probe.read()
            probe.close()
        seen.append(names)
    assert seen[0] == seen[1]


def test_of_a_parametrised_layer_the_layer_is_measured():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), nn.MultiheadAttention(2, 1))
    model.forward = lambda batch: model[1](*[model[0](batch)] * 3)[0]
    with ActivationProbe(model, every=1) as probe:
        model(torch.ones(3, 2))
    assert list(probe.read()) == ["0", "1"]


def test_another_thread_is_not_looked_at():
    model = nn.Sequential(nn.Linear(2, 2), Failing())
    other = threading.Thread(target=lambda: model[1](torch.ones(1, 2)))

    class Meanwhile(nn.Module):
        def forward(self, batch):
            other.start()
            other.join()
            return batch

    model.append(Meanwhile())
    with ActivationProbe(model, every=1) as probe:
        model(torch.ones(1, 2))
    assert probe.read()["1.linear"].calls == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.complex64])
def test_other_dtypes(dtype):
    torch.manual_seed(0)
    model = nn.Linear(64, 64, dtype=dtype)
    batch = torch.randn(64, 64, dtype=dtype)
    with ActivationProbe(model, every=1) as probe:
        output = model(batch)
        output.abs().sum().backward()
    stats = probe.read()[""]
    exact = output.detach().to(torch.complex128).abs().square().mean().sqrt().item()
    assert stats.rms.item() == pytest.approx(exact, rel=1e-5)
    assert stats.rms.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert stats.grad_rms.item() == pytest.approx(1, rel=1e-2)


def test_nothing_is_read_to_the_host():
    with FakeTensorMode():
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(36, 4), nn.Sigmoid())
        with ActivationProbe(model, every=1) as probe:
            model(torch.randn(2, 3, 5, 5)).sum().backward()
        stats = probe.read()
        assert stats["1"].dead_fraction.shape == ()
        assert stats["4"].saturated_fraction.shape == ()
        assert all(one.grad_rms is not None for one in stats.values())
        with pytest.raises(RuntimeError):
            stats["1"].rms.item()  # the mode would have told


def test_a_compiled_model_runs_as_before():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, batch):
            return self.linear(batch).relu()

    model = Plain()
    batch = torch.randn(3, 2)
    bare = model(batch)
    with ActivationProbe(model, every=1) as probe:
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        assert torch.equal(compiled(batch), bare)
        assert probe.read() == {}
