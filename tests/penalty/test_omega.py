"""Pascanu's Omega, against a literal transcription of the formula."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from steadygrad.penalty import hidden_gradients, pascanu_omega, pascanu_omega_from


def states_of(rnn, inputs):
    """The hidden states, step by step."""
    activation = torch.tanh if rnn.nonlinearity == "tanh" else torch.relu
    hidden, states = torch.zeros(inputs.shape[1], rnn.hidden_size, dtype=inputs.dtype), []
    for input in inputs:
        hidden = activation(input @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + hidden @ rnn.weight_hh_l0.T + rnn.bias_hh_l0)
        states.append(hidden)
    return states


def by_hand(rnn, inputs, loss_of, bound=1e-20):
    """The formula in loops, one step and one sample at a time."""
    states = states_of(rnn, inputs)
    grads = torch.autograd.grad(loss_of(states), states)
    weight = rnn.weight_hh_l0
    summed, counted = torch.zeros((), dtype=inputs.dtype), 0.0
    for hidden, grad in zip(states, grads, strict=True):
        batch = len(hidden)
        for sample in range(batch):
            d, h = grad[sample].detach(), hidden[sample].detach()
            if (d**2).sum() >= bound:
                slope = 1 - h**2 if rnn.nonlinearity == "tanh" else (h > 0).to(h)
                ratio = ((d * slope) @ weight).square().sum() / (d**2).sum()
                summed = summed + (ratio - 1) ** 2 / batch
                counted += 1 / batch
    return summed / counted


def setup(nonlinearity="tanh"):
    torch.manual_seed(0)
    rnn = nn.RNN(3, 6, nonlinearity=nonlinearity).double()
    nn.init.normal_(rnn.weight_hh_l0, std=0.6)
    return rnn, torch.randn(7, 4, 3).double(), torch.randn(7, 4, 6).double()


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_it_is_the_formula(nonlinearity):
    rnn, inputs, readout = setup(nonlinearity)

    def loss_of(states):
        return (torch.stack(list(states)).tanh() * readout)[2:5].sum()

    output, _ = rnn(inputs)
    found, wanted = pascanu_omega(rnn, output, loss_of(output)), by_hand(rnn, inputs, loss_of)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(*(torch.autograd.grad(each, rnn.weight_hh_l0)[0] for each in (found, wanted)))


def test_the_final_state_counts_where_it_is_given():
    rnn, inputs, readout = setup()
    output, final = rnn(inputs)
    wanted = by_hand(rnn, inputs, lambda states: (states[-1] * readout[0]).sum() + states[3].sum())
    found = pascanu_omega(rnn, output, (final[0] * readout[0]).sum() + output[3].sum(), final=final)
    torch.testing.assert_close(found, wanted)
    only = pascanu_omega(rnn, output, (final[0] * readout[0]).sum(), final=final)
    torch.testing.assert_close(only, by_hand(rnn, inputs, lambda states: (states[-1] * readout[0]).sum()))


def test_batch_first_and_packed_are_the_same_sequences():
    rnn, inputs, readout = setup()
    output, final = rnn(inputs)
    wanted = pascanu_omega(rnn, output, (output * readout).sum() + final.square().sum(), final=final)
    first = nn.RNN(3, 6, batch_first=True).double()
    first.load_state_dict(rnn.state_dict())
    output, final = first(inputs.transpose(0, 1))
    loss = (output.transpose(0, 1) * readout).sum() + final.square().sum()
    torch.testing.assert_close(pascanu_omega(first, output, loss, final=final), wanted)
    packed = pack_sequence(list(inputs.unbind(1)))
    output, final = rnn(packed)
    loss = (output.data.view(7, 4, 6) * readout).sum() + final.square().sum()
    torch.testing.assert_close(pascanu_omega(rnn, output, loss, final=final), wanted)


def test_ragged_sequences_count_by_their_steps():
    rnn, inputs, _ = setup()
    lengths = [3, 7, 5]
    sequences = [inputs[:length, place] for place, length in enumerate(lengths)]
    output, final = rnn(pack_sequence(sequences, enforce_sorted=False))
    found = pascanu_omega(rnn, output, final.square().sum(), final=final)
    alone = []
    for sequence in sequences:
        output, final = rnn(sequence.unsqueeze(1))
        alone.append(pascanu_omega(rnn, output, final.square().sum(), final=final))
    wanted = sum(each * length for each, length in zip(alone, lengths, strict=True)) / sum(lengths)
    torch.testing.assert_close(found, wanted)


def test_only_the_recurrent_weight_gets_a_gradient_and_the_loss_goes_on():
    rnn, inputs, _ = setup()
    head = nn.Linear(6, 1).double()
    output, _ = rnn(inputs)
    loss = head(output[-1]).square().mean()
    plain = torch.autograd.grad(loss, [*rnn.parameters(), *head.parameters()], retain_graph=True)
    term = pascanu_omega(rnn, output, loss)
    (own,) = torch.autograd.grad(term, rnn.weight_hh_l0, retain_graph=True)
    (loss + 2.0 * term).backward()
    for param, grad in zip([*rnn.parameters(), *head.parameters()], plain, strict=True):
        torch.testing.assert_close(param.grad, grad + 2 * own if param is rnn.weight_hh_l0 else grad)


def test_several_models_at_once_are_each_their_own():
    torch.manual_seed(0)
    weights, direct, slope = torch.randn(5, 6, 6) / 3, torch.randn(7, 5, 4, 6), torch.rand(7, 5, 4, 6)
    grads = hidden_gradients(weights, direct, slope)
    together = pascanu_omega_from(weights, grads, slope)
    assert together.shape == (5,)
    for model in range(5):
        own = hidden_gradients(weights[model], direct[:, model], slope[:, model])
        torch.testing.assert_close(own, grads[:, model])
        torch.testing.assert_close(together[model], pascanu_omega_from(weights[model], own, slope[:, model]))


def test_steps_without_a_gradient_or_with_none_to_speak_of_count_for_nothing():
    weight, grads, slope = torch.eye(3) * 2, torch.randn(6, 2, 3), torch.ones(6, 2, 3)
    assert pascanu_omega_from(weight, grads, slope).item() == pytest.approx(9.0)
    grads[:3] = torch.tensor([0.0, float("nan"), float("inf")]).view(3, 1, 1)
    grads[3] = 1e-15
    grads[4] *= 1e30  # whose square is infinite in float32
    weight.requires_grad_()
    term = pascanu_omega_from(weight, grads, slope)
    assert term.item() == pytest.approx(9.0)
    term.backward()
    assert weight.grad.isfinite().all()


def test_what_cannot_be_is_said():
    rnn, inputs, _ = setup()
    output, final = rnn(inputs)
    with pytest.raises(ValueError, match="one layer and one direction"):
        pascanu_omega(nn.LSTM(3, 6), output, output.sum())
    with pytest.raises(ValueError, match="give it as final=h_n"):
        pascanu_omega(rnn, output, final.sum())
    with torch.no_grad():
        output, _ = rnn(inputs)
    with pytest.raises(ValueError, match="outside no_grad"):
        pascanu_omega(rnn, output, output.sum())
