"""Recurrent initialisers: exact values in torch's gate orders, and cells that people write themselves."""

import pytest
import torch
from torch import nn

from steadygrad.init import chrono_, forget_bias_, identity_recurrent_, orthogonal_recurrent_
from tests.kinds_of_models import HandLSTM, HandRNN, Recurrent, Seq2Seq, series, words


def seeded():
    return torch.Generator().manual_seed(0)


def orthogonal(block):
    return torch.allclose(block @ block.T, torch.eye(block.shape[0], dtype=block.dtype), atol=1e-5)


@pytest.mark.parametrize(("kind", "gates"), [("RNN", 1), ("LSTM", 4), ("GRU", 3)])
@pytest.mark.parametrize("sides", [1, 2])
def test_each_gate_of_each_layer_and_direction_is_orthogonal(kind, gates, sides):
    model = Recurrent(kind, 2, sides)
    record = orthogonal_recurrent_(model, generator=seeded())
    assert len(record.where("orthogonal")) == 2 * sides
    for name, weight in model.rnn.named_parameters():
        if "weight_hh" in name:
            blocks = weight.detach().chunk(gates)
            assert all(map(orthogonal, blocks))
            assert gates == 1 or not torch.allclose(blocks[0], blocks[1])


def test_cells_and_projections():
    for cell in (nn.LSTMCell(3, 5), nn.GRUCell(3, 5), nn.RNNCell(3, 5)):
        orthogonal_recurrent_(cell)
        assert orthogonal(cell.weight_hh[:5].detach())
    projected = nn.LSTM(3, 8, proj_size=4)
    orthogonal_recurrent_(projected)
    gate = projected.weight_hh_l0[:8].detach()
    assert torch.allclose(gate.T @ gate, torch.eye(4), atol=1e-5)  # 8 x 4: its columns


def test_hand_written_cells_are_found_by_their_graph():
    net, batch = HandRNN(), series()
    record = orthogonal_recurrent_(net, batch=batch)
    assert record.where("orthogonal") == ["U"]
    assert orthogonal(net.U.detach())
    joined = HandLSTM()
    inputs = joined.gates.weight[:, :6].clone()
    assert orthogonal_recurrent_(joined, batch=batch).where("orthogonal") == ["gates.weight"]
    assert all(orthogonal(gate[:, 6:]) for gate in joined.gates.weight.detach().chunk(4))
    assert torch.equal(inputs, joined.gates.weight[:, :6])  # what multiplies the input is left alone


def test_both_sides_of_a_sequence_to_sequence_model():
    model, batch = Seq2Seq(), (words(count=20), words(count=20))
    assert len(orthogonal_recurrent_(model, batch=batch).where("orthogonal")) == 2


def test_weights_themselves():
    square, stacked, beside, slices = torch.empty(4, 4), torch.empty(8, 4), torch.empty(4, 12), torch.empty(3, 4, 4)
    orthogonal_recurrent_([square, stacked, beside, slices], gain=1.0)
    assert orthogonal(square)
    assert all(map(orthogonal, (*stacked.split(4), *beside.split(4, 1), *slices)))
    with pytest.raises(ValueError, match="no square part"):
        orthogonal_recurrent_(torch.empty(5, 3))
    with pytest.raises(ValueError, match="pass the batch"):
        orthogonal_recurrent_(HandRNN())
    with pytest.raises(ValueError, match="has no recurrent weights"):
        orthogonal_recurrent_(nn.Linear(3, 3), batch=torch.randn(2, 3))


def test_gain_is_the_spectral_radius():
    rnn = nn.RNN(3, 16)
    orthogonal_recurrent_(rnn, gain=0.9)
    assert torch.linalg.eigvals(rnn.weight_hh_l0.detach()).abs().max().item() == pytest.approx(0.9, abs=1e-5)


def test_the_irnn_of_the_paper():
    rnn = nn.RNN(3, 64, 2, nonlinearity="relu")
    identity_recurrent_(rnn, generator=seeded())
    for layer in range(2):
        assert torch.equal(getattr(rnn, f"weight_hh_l{layer}"), torch.eye(64))
        assert not getattr(rnn, f"bias_ih_l{layer}").any()
        assert not getattr(rnn, f"bias_hh_l{layer}").any()
        assert getattr(rnn, f"weight_ih_l{layer}").std().item() == pytest.approx(0.001, rel=0.2)
    before = rnn.weight_ih_l0.clone()
    identity_recurrent_(rnn, input_std=None, gain=0.5)
    assert torch.equal(before, rnn.weight_ih_l0)
    assert rnn.weight_hh_l0.diagonal().unique().tolist() == [0.5]


@pytest.mark.parametrize("make", [lambda: nn.LSTM(3, 50, 2, bidirectional=True), lambda: nn.LSTMCell(3, 50)])
def test_chrono_gates_of_lstms(make):
    module = make()
    others = {name: value.clone() for name, value in module.named_parameters()}
    chrono_(module, 100, generator=seeded())
    for name, bias in module.named_parameters():
        if name.startswith("bias_ih"):
            enter, forget = bias[:50], bias[50:100]
            assert torch.equal(enter, -forget)
            assert (forget >= 0).all()
            assert (forget <= torch.tensor(99.0).log()).all()
            assert forget.exp().mean().item() == pytest.approx(50, rel=0.25)  # U(1, 99)
            assert torch.equal(bias[100:], others[name][100:])
        elif name.startswith("bias_hh"):
            assert not bias[:100].any()
        else:
            assert torch.equal(bias, others[name])


def test_chrono_of_a_gru_opens_the_gate_that_keeps():
    gru = nn.GRU(3, 10)
    resets = gru.bias_ih_l0[:10].clone()
    chrono_(gru, 50, generator=seeded())
    assert (gru.bias_ih_l0[10:20] >= 0).all()
    assert not gru.bias_hh_l0[10:20].any()
    assert torch.equal(resets, gru.bias_ih_l0[:10])
    # The state is kept: without input it fades slowly.
    nn.init.zeros_(gru.weight_hh_l0)
    state = gru(torch.zeros(1, 1, 3), torch.ones(1, 1, 10))[1]
    assert state.mean() > 0.6


def test_gates_of_cells_of_ones_own_and_what_has_none():
    bias = nn.Parameter(torch.zeros(12))
    chrono_(bias[3:6], 20, input_bias=bias[:3], generator=seeded())
    assert torch.equal(bias[:3], -bias[3:6])
    assert bias[3:6].all()
    forget_bias_(bias[3:6], 2.0)
    assert bias[3:6].tolist() == [2.0] * 3
    for act in (lambda: forget_bias_(nn.RNN(3, 4)), lambda: chrono_(nn.LSTM(3, 4, bias=False), 20)):
        with pytest.raises(ValueError, match="no LSTM or GRU with biases"):
            act()
    with pytest.raises(ValueError, match="at least 3 time steps"):
        chrono_(nn.LSTM(3, 4), 2)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.LSTMCell, nn.GRU])
def test_the_two_biases_of_a_forget_gate_add_up_to_the_value(kind):
    module = kind(3, 4)
    forget_bias_(module, 1.5)
    ih, hh = (
        next(p for name, p in module.named_parameters() if name.startswith(which)) for which in ("bias_ih", "bias_hh")
    )
    assert (ih + hh)[4:8].tolist() == [1.5] * 4


def test_half_precision():
    lstm = nn.LSTM(3, 8).half()
    orthogonal_recurrent_(lstm, generator=seeded())
    chrono_(lstm, 10)
    assert lstm.weight_hh_l0.dtype == torch.float16
    gate = lstm.weight_hh_l0[:8].float()
    assert torch.allclose(gate @ gate.T, torch.eye(8), atol=5e-3)
