"""Jacobians and Lyapunov exponents of recurrences, against autograd and against what is known in closed form."""

import math

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from steadygrad.measure import lyapunov_exponents, recurrent_jacobians, recurrent_layers, spectral_radius

from .recurrent import INPUTS, LAYERS, SHAPES


def linear(weight):
    return lambda state, _: state @ weight.T


def scaled(rnn, factor):
    with torch.no_grad():
        for name, weight in rnn.named_parameters():
            if "weight_hh" in name:
                nn.init.normal_(weight, std=factor / math.sqrt(weight.shape[1]))
    return rnn


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_module_taken_apart_computes_what_the_module_computes(layer, shape, inputs):
    rnn, sequence = LAYERS[layer](**SHAPES[shape]).double(), INPUTS[inputs]()
    output, state = rnn(sequence)
    layers = list(recurrent_layers(rnn, sequence))
    ours = torch.cat([layer.output for layer in layers[-1 - rnn.bidirectional :]], dim=-1)
    if inputs == "packed":
        output = pad_packed_sequence(output)[0]
    elif inputs == "unbatched":
        output = output.unsqueeze(1)
    elif rnn.batch_first:
        output = output.transpose(0, 1)
    torch.testing.assert_close(ours, output)
    for number, part in enumerate(state if isinstance(state, tuple) else (state,)):
        ends = torch.stack([layer.final[number] for layer in layers])
        torch.testing.assert_close(ends, part.unsqueeze(1) if inputs == "unbatched" else part)


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru", "lstm", "projected"])
def test_one_step_jacobians_are_autograds(kind):
    """The module itself is run on one step, and autograd asked for the Jacobian of its state in its state."""
    rnn = LAYERS[kind]().double()
    state = [torch.randn(1, 1, n).double() for n in ((2, 4) if kind == "projected" else (4, 4))][
        : 1 + (rnn.mode == "LSTM")
    ]
    sizes = [part.shape[-1] for part in state]
    input = torch.randn(1, 1, 3).double()

    def step(flat):
        parts = tuple(part.view(1, 1, -1) for part in flat.split(sizes))
        after = rnn(input, parts if len(parts) > 1 else parts[0])[1]
        return torch.cat([part.flatten() for part in (after if len(parts) > 1 else (after,))])

    wanted = torch.autograd.functional.jacobian(step, torch.cat([part.flatten() for part in state]))
    found = recurrent_jacobians(rnn, input, tuple(state) if len(state) > 1 else state[0])
    torch.testing.assert_close(found[0, 0], wanted)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_cell_is_the_layer_of_its_weights(cell):
    layer = {nn.RNNCell: nn.RNN, nn.LSTMCell: nn.LSTM, nn.GRUCell: nn.GRU}[cell](3, 4)
    one = cell(3, 4)
    one.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    inputs = torch.randn(7, 2, 3)
    torch.testing.assert_close(recurrent_jacobians(one, inputs), recurrent_jacobians(layer, inputs))


@pytest.mark.parametrize("direction", [0, 1])
def test_the_layers_and_directions_of_a_module_are_told_apart(direction):
    rnn = nn.GRU(3, 4, num_layers=2, bidirectional=True)
    inputs = torch.randn(7, 2, 3)
    upper = nn.GRU(8, 4)
    suffix = "_l1" + "_reverse" * direction
    upper.load_state_dict(
        {name.removesuffix(suffix) + "_l0": value for name, value in rnn.state_dict().items() if name.endswith(suffix)}
    )
    lower = nn.GRU(3, 4, bidirectional=True)
    lower.load_state_dict({name: value for name, value in rnn.state_dict().items() if "_l0" in name})
    between = lower(inputs)[0]
    alone = recurrent_jacobians(upper, between.flip(0) if direction else between)
    torch.testing.assert_close(recurrent_jacobians(rnn, inputs, layer=1, direction=direction), alone)


def test_a_function_that_has_no_forward_mode_is_no_hindrance():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    weight = torch.randn(4, 4).double().requires_grad_()
    start = torch.randn(3, 4).double()

    def direct(state, input):
        hidden = torch.tanh((state[0] * 2) @ weight.T + input)
        return hidden, state[1] * hidden

    def indirect(state, input):
        hidden = torch.tanh(Doubled.apply(state[0]) @ weight.T + input)
        return hidden, state[1] * hidden

    inputs = torch.randn(6, 3, 4).double()
    both = [recurrent_jacobians(step, inputs, (start, start)) for step in (direct, indirect)]
    torch.testing.assert_close(*both)
    torch.testing.assert_close(*(torch.autograd.grad(each.square().sum(), weight)[0] for each in both))
    torch.testing.assert_close(
        *(lyapunov_exponents(step, inputs, (start, start), k=2) for step in (direct, indirect)), rtol=1e-10, atol=1e-10
    )


def test_exponents_of_a_linear_recurrence_are_the_logarithms_of_its_eigenvalues():
    weight = torch.randn(8, 8, generator=torch.Generator().manual_seed(3)).double() / 2
    wanted = torch.linalg.eigvals(weight).abs().log().sort(descending=True).values
    found = lyapunov_exponents(linear(weight), [None] * 4000, torch.zeros(1, 8).double(), warmup=2000)
    # A complex pair turns for ever, so each of its two is the mean of the pair only up to 1 / steps.
    torch.testing.assert_close(found, wanted, atol=2e-3, rtol=0)
    two = lyapunov_exponents(linear(weight), [None] * 4000, torch.zeros(1, 8).double(), warmup=2000, k=2)
    torch.testing.assert_close(two, found[:2], atol=2e-3, rtol=0)


def test_their_sum_is_the_mean_log_determinant():
    rnn = scaled(nn.LSTM(3, 8), 2.0).double()
    inputs = torch.randn(40, 3, 3).double()
    jacobians = recurrent_jacobians(rnn, inputs)
    wanted = torch.linalg.slogdet(jacobians[10:]).logabsdet.mean()
    torch.testing.assert_close(lyapunov_exponents(rnn, inputs, warmup=10).sum(), wanted)


def test_the_first_exponent_says_how_fast_a_perturbation_grows():
    rnn = scaled(nn.RNN(2, 64), 2.5).double()
    inputs = torch.zeros(400, 1, 2).double()
    start = torch.randn(1, 1, 64).double()
    largest = lyapunov_exponents(rnn, inputs, start, k=1)[0].item()
    with torch.no_grad():
        early = rnn(inputs[:100], start)[1]
        other = early + 1e-12 * torch.randn_like(early)
        first = (rnn(inputs[:10], other)[1] - rnn(inputs[:10], early)[1]).norm()
        last = (rnn(inputs[:60], other)[1] - rnn(inputs[:60], early)[1]).norm()
    assert largest > 0.1
    assert math.log(last / first) / 50 == pytest.approx(largest, abs=0.15)


def test_padding_counts_for_nothing():
    rnn = scaled(nn.GRU(3, 6), 1.5)
    long, short = torch.randn(30, 3), torch.randn(12, 3)
    packed = lyapunov_exponents(rnn, pack_sequence([short, long], enforce_sorted=False), warmup=4)
    alone = [lyapunov_exponents(rnn, each.unsqueeze(1), warmup=4) for each in (long, short)]
    torch.testing.assert_close(packed, (alone[0] * 26 + alone[1] * 8) / 34)


@pytest.mark.parametrize("kind", ["tanh", "gru", "lstm"])
def test_exponents_are_differentiable(kind):
    rnn = LAYERS[kind]().double()
    inputs = torch.randn(8, 2, 3).double()
    params = [param.detach().clone().requires_grad_() for param in rnn.parameters()]

    def exponents(*values):
        layer = next(recurrent_layers(rnn, inputs, weights=values))
        return lyapunov_exponents(layer.step, layer.inputs, layer.state, k=2)

    assert torch.autograd.gradcheck(exponents, params)


def test_reduced_precision_is_worked_on_in_float32():
    rnn = scaled(nn.LSTM(3, 6), 1.0).bfloat16()
    found = lyapunov_exponents(rnn, torch.randn(10, 2, 3).bfloat16(), k=2)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    weight = torch.eye(4, dtype=torch.bfloat16) * 2
    step = lyapunov_exponents(linear(weight), [None] * 8, torch.zeros(1, 4, dtype=torch.bfloat16))
    torch.testing.assert_close(step, torch.full((4,), math.log(2)), atol=2e-2, rtol=0)


def test_a_dead_state_has_an_exponent_of_minus_infinity():
    assert lyapunov_exponents(lambda state, _: state * 0, [None] * 4, torch.ones(1, 2), k=1)[0] == -math.inf


def test_a_state_that_is_not_finite_gives_nan():
    assert lyapunov_exponents(linear(torch.full((2, 2), math.nan)), [None] * 4, torch.ones(1, 2), k=1).isnan().all()


def test_no_value_is_read():
    with FakeTensorMode():
        rnn = nn.LSTM(3, 6, num_layers=2)
        assert lyapunov_exponents(rnn, torch.randn(10, 2, 3), k=2, layer=1).shape == (2,)


def test_what_cannot_be_is_said():
    rnn, inputs = nn.RNN(3, 4), torch.randn(5, 2, 3)
    with pytest.raises(ValueError, match="there is no layer 1"):
        lyapunov_exponents(rnn, inputs, layer=1)
    assert lyapunov_exponents(rnn, inputs, k=5).shape == (4,)
    with pytest.raises(ValueError, match="k is 0, expected at least 1"):
        lyapunov_exponents(rnn, inputs, k=0)
    with pytest.raises(ValueError, match="warmup is 5, expected 0 to 4"):
        lyapunov_exponents(rnn, inputs, warmup=5)
    with pytest.raises(ValueError, match="needs the initial state"):
        lyapunov_exponents(linear(torch.eye(2)), [None])
    with pytest.raises(ValueError, match="Linear is not a recurrent layer"):
        next(recurrent_layers(nn.Linear(2, 2), inputs))


def test_spectral_radius_of_each_gate():
    weight = torch.randn(12, 4)
    wanted = [max(abs(value) for value in torch.linalg.eigvals(gate).tolist()) for gate in weight.chunk(3)]
    torch.testing.assert_close(spectral_radius(weight), torch.tensor(wanted))
    assert spectral_radius(torch.eye(3).half() * 2).item() == pytest.approx(2.0)
    assert spectral_radius(torch.full((2, 2), math.inf)).isnan()
    with pytest.raises(ValueError, match="not a stack of"):
        spectral_radius(nn.LSTM(3, 4, proj_size=3).weight_hh_l0)
