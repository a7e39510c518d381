"""The gradient by time step, against states that are computed step by step with retained gradients."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from steadygrad.measure import TimeGradientProbe

from .recurrent import INPUTS, LAYERS, SHAPES


def rms(grad):
    return grad.double().square().mean().sqrt()


class ByHand(nn.Module):
    """A recurrence written out, with whatever torch cell, its states kept."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell
        self.head = nn.Linear(4, 1)

    def forward(self, inputs):
        state, self.states = None, []
        for input in inputs:
            state = self.cell(input, state)
            parts = state if isinstance(state, tuple) else (state,)
            for part in parts:
                part.retain_grad()
            self.states.append(parts)
        return self.head(parts[0])


class Elman(nn.Module):
    """No cell at all: two linear layers and a tanh in a loop."""

    def __init__(self):
        super().__init__()
        self.input, self.hidden, self.head = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, inputs):
        hidden, self.sums = torch.zeros(inputs.shape[1], 4, dtype=inputs.dtype), []
        for input in inputs:
            recurrent = self.hidden(hidden)
            recurrent.retain_grad()
            self.sums.append(recurrent)
            hidden = torch.tanh(recurrent + self.input(input))
        return self.head(hidden)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_layer_and_cell_of_the_same_weights_have_the_same_gradients(cell):
    layer = {nn.RNNCell: nn.RNN, nn.LSTMCell: nn.LSTM, nn.GRUCell: nn.GRU}[cell](3, 4).double()
    by_hand = ByHand(cell(3, 4)).double()
    by_hand.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    inputs = torch.randn(12, 5, 3).double()
    with TimeGradientProbe(by_hand) as probe:
        by_hand(inputs).square().sum().backward()
    wanted = [torch.stack([rms(part.grad) for part in parts]) for parts in zip(*by_hand.states, strict=True)]
    (curve,) = probe.gradients()
    assert (curve.path, curve.layer) == ("cell", "")
    with TimeGradientProbe(layer) as probe:
        by_hand.head(layer(inputs)[0][-1]).square().sum().backward()
    (other,) = probe.gradients()
    assert (other.path, other.layer) == ("", "l0")
    for found in (curve, other):
        torch.testing.assert_close(found.hidden, wanted[0])
        if cell is nn.LSTMCell:
            torch.testing.assert_close(found.cell, wanted[1])
        else:
            assert found.cell is None


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", LAYERS)
def test_every_kind_gives_a_curve_for_each_layer_and_direction(kind, shape, inputs):
    rnn, sequence = LAYERS[kind](**SHAPES[shape]).double(), INPUTS[inputs]()
    with TimeGradientProbe(rnn) as probe:
        output, state = rnn(sequence)
        (output.data.sum() + sum(part.sum() for part in (state if isinstance(state, tuple) else (state,)))).backward()
    curves = probe.gradients()
    assert [curve.layer for curve in curves] == [
        f"l{number}{suffix}" for number in range(rnn.num_layers) for suffix in ["", "_reverse"][: 1 + rnn.bidirectional]
    ]
    steps = {"packed": 5, "unbatched": 6, "batched": 2 if rnn.batch_first else 6}[inputs]
    for curve in curves:
        assert curve.hidden.shape == (steps,)
        assert (curve.hidden > 0).all() or kind == "relu"  # whose units may be dead
        assert (curve.cell is None) == (rnn.mode != "LSTM")


@pytest.mark.parametrize("kind", LAYERS)
def test_the_upper_layer_of_a_stack_is_exact(kind):
    """Against the module itself, cut at a time: the state that is handed over there is a leaf whose gradient is known."""
    rnn = LAYERS[kind](num_layers=2).double()
    inputs = torch.randn(9, 2, 3).double()
    readout = torch.randn(9, 2, rnn.proj_size or 4).double()
    with TimeGradientProbe(rnn) as probe:
        (rnn(inputs)[0].tanh() * readout).sum().backward()
    lower, upper = probe.gradients()
    for cut in (1, 4, 8):
        early, state = rnn(inputs[:cut])
        parts = [part.detach().requires_grad_() for part in (state if isinstance(state, tuple) else (state,))]
        late = rnn(inputs[cut:], tuple(parts) if len(parts) > 1 else parts[0])[0]
        direct = early[-1].detach().requires_grad_()
        loss = (late.tanh() * readout[cut:]).sum() + (direct.tanh() * readout[cut - 1]).sum()
        grads = torch.autograd.grad(loss, [direct, *parts])
        # The upper hidden state also is the output at the cut; what the lower one does to the upper one at the cut is
        # in the graph of `early`, so only the upper layer's gradient can be read off here.
        torch.testing.assert_close(upper.hidden[cut - 1], rms(grads[1][1] + grads[0]))
    assert lower.hidden.shape == (9,)


def test_the_lower_layer_of_a_stack_is_the_layer_below_alone():
    stack = nn.GRU(3, 4, num_layers=2, bidirectional=True).double()
    lower, upper = nn.GRU(3, 4, bidirectional=True).double(), nn.GRU(8, 4, bidirectional=True).double()
    lower.load_state_dict({name: value for name, value in stack.state_dict().items() if "_l0" in name})
    upper.load_state_dict(
        {name.replace("_l1", "_l0"): value for name, value in stack.state_dict().items() if "_l1" in name}
    )
    packed = pack_sequence([torch.randn(n, 3).double() for n in (4, 9, 6)], enforce_sorted=False)
    both = nn.ModuleList([lower, upper])
    with TimeGradientProbe(both) as apart, TimeGradientProbe(stack) as whole:
        for net in (lambda packed: upper(lower(packed)[0]), stack):
            net(packed)[0].data.square().sum().backward()
    apart, whole = apart.gradients(), whole.gradients()
    assert [curve.path for curve in apart] == ["0", "0", "1", "1"]
    for one, other in zip(apart, whole, strict=True):
        torch.testing.assert_close(one.hidden, other.hidden)


def test_padding_counts_for_nothing():
    rnn = nn.LSTM(3, 4, batch_first=True).double()
    sequences = [torch.randn(n, 3).double() for n in (3, 7)]
    with TimeGradientProbe(rnn) as probe:
        rnn(pack_sequence(sequences, enforce_sorted=False))[1][0].sum().backward()
    (packed,) = probe.gradients()
    singles = []
    for sequence in sequences:
        with TimeGradientProbe(rnn) as probe:
            rnn(sequence)[1][0].sum().backward()
        singles += probe.gradients()
    torch.testing.assert_close(packed.hidden[3:], singles[1].hidden[3:])
    mixed = (singles[0].hidden.square() + singles[1].hidden[:3].square()).div(2).sqrt()
    torch.testing.assert_close(packed.hidden[:3], mixed)


def test_dropout_between_layers_is_drawn_as_in_the_forward():
    rnn = nn.LSTM(3, 4, num_layers=3, dropout=0.5).double()
    inputs = torch.randn(9, 2, 3).double()
    with TimeGradientProbe(rnn) as probe:
        output, (hidden, _) = rnn(inputs)
        hidden[0].sum().backward(retain_graph=True)
        first = probe.gradients()[0].hidden
        (hidden[2] * torch.arange(4.0)).sum().backward()
    before = torch.get_rng_state()
    last = probe.gradients()
    assert torch.equal(before, torch.get_rng_state())
    with torch.random.fork_rng():
        torch.set_rng_state(probe._calls[""][0].random)
        from steadygrad.measure import recurrent_layers

        top = list(recurrent_layers(rnn, inputs, dropout=True))[-1]
    torch.testing.assert_close(top.output, output)
    assert first[-1] > 0
    assert last[0].hidden[0] > 0


def test_a_recurrence_without_a_cell_is_seen_at_its_linear_layer():
    model = Elman().double()
    with TimeGradientProbe(model) as probe:
        model(torch.randn(8, 5, 3).double()).sum().backward()
    (curve,) = probe.gradients()
    assert curve.path == "hidden"
    # The first call's input is no state yet, its output already is part of one.
    torch.testing.assert_close(curve.hidden, torch.stack([rms(each.grad) for each in model.sums]))


def test_a_cell_of_ones_own_is_named_once_and_not_its_parts():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.gates = nn.Linear(7, 16)

        def forward(self, input, state):
            hidden, cell = state
            i, f, g, o = self.gates(torch.cat([input, hidden], 1)).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            return hidden, (hidden, cell)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = Cell()

        def forward(self, inputs):
            state = (torch.zeros(5, 4), torch.zeros(5, 4))
            for input in inputs:
                output, state = self.cell(input, state)
            return output

    model = Model()
    with TimeGradientProbe(model) as probe:
        model(torch.randn(8, 5, 3)).sum().backward()
    (curve,) = probe.gradients()
    assert curve.path == "cell"
    assert curve.hidden.shape == curve.cell.shape == (8,)
    assert (curve.cell > 0).all()
    assert curve.hidden[-1].item() == pytest.approx(1.0)


def test_a_layer_that_is_called_step_by_step_is_one_curve():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 4), nn.Linear(4, 3)

        def forward(self, input, state):
            output, state = self.rnn(input, state)
            return self.head(output), state

    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = Decoder()

        def forward(self, start):
            input, state = start, None
            for _ in range(6):
                input, state = self.decoder(input, state)
            return input

    model = Greedy()
    with TimeGradientProbe(model) as probe:
        model(torch.randn(1, 5, 3)).sum().backward()
    (curve,) = probe.gradients()
    assert (curve.path, curve.layer, curve.hidden.shape) == ("decoder.rnn", "l0", (6,))
    assert (curve.hidden > 0).all()


def test_two_sequences_through_one_encoder_are_two_curves():
    rnn, one, other = nn.LSTM(3, 4), torch.randn(5, 2, 3), torch.randn(8, 2, 3)
    with TimeGradientProbe(rnn) as probe:
        (rnn(one)[1][0] * rnn(other)[1][0]).sum().backward()
    assert [len(curve.hidden) for curve in probe.gradients()] == [5, 8]


def test_a_layer_used_several_times_on_its_own_is_no_recurrence():
    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.ModuleList(nn.Linear(4, 4) for _ in range(5)), nn.Linear(4, 2)

        def forward(self, input):
            outputs = []
            for layer in self.body:
                input = layer(input).relu()
                outputs.append(self.head(input))
            return torch.stack(outputs)

    model = Pyramid()
    with TimeGradientProbe(model) as probe:
        model(torch.randn(3, 4)).sum().backward()
    assert probe.gradients() == []


def test_the_growth_is_that_of_the_weight():
    rnn = nn.RNN(2, 16, bias=False)
    with torch.no_grad():
        nn.init.orthogonal_(rnn.weight_hh_l0).mul_(1e5)
        rnn.weight_ih_l0.zero_()
    with TimeGradientProbe(rnn) as probe:
        rnn(torch.zeros(8, 3, 2))[0][-1].sum().backward()
    (curve,) = probe.gradients()
    torch.testing.assert_close(curve.hidden.log(), torch.arange(7, -1, -1) * torch.tensor(1e5).log())


def test_the_model_and_its_gradients_are_as_without():
    torch.manual_seed(0)
    rnn = nn.LSTM(3, 4, num_layers=2, dropout=0.3)
    inputs = pack_padded_sequence(torch.randn(6, 2, 3), torch.tensor([6, 4]))
    results = []
    for watched in (False, True):
        torch.manual_seed(1)
        rnn.zero_grad()
        probe = TimeGradientProbe(rnn) if watched else None
        output, _ = rnn(inputs)
        pad_packed_sequence(output)[0].sum().backward()
        results.append([output.data.detach(), torch.rand(1), *(param.grad.clone() for param in rnn.parameters())])
        if probe is not None:
            probe.gradients()
            probe.close()
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in rnn.modules())


def test_weights_that_have_moved_are_said():
    rnn = nn.RNN(3, 4)
    optimizer = torch.optim.SGD(rnn.parameters(), lr=0.1)
    with TimeGradientProbe(rnn) as probe:
        rnn(torch.randn(5, 2, 3))[0].sum().backward()
    optimizer.step()
    with pytest.raises(ValueError, match="have changed since the forward"):
        probe.gradients()


def test_without_a_backward_it_is_zero_and_without_a_gradient_nothing():
    rnn = nn.RNN(3, 4)
    with TimeGradientProbe(rnn) as probe:
        rnn(torch.randn(5, 2, 3))
    assert probe.gradients()[0].hidden.tolist() == [0.0] * 5
    with TimeGradientProbe(rnn) as probe, torch.no_grad():
        rnn(torch.randn(5, 2, 3))
    assert probe.gradients() == []
