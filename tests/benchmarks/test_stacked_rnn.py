"""A run of many trained at once is the run that torch would have made alone."""

import math

import pytest
import torch
from torch import nn

from steadygrad.clip import clip_grad_norm_

HIDDEN, SYMBOLS, CLASSES, LENGTH, BATCH = 12, 6, 4, 20, 7
METHODS = [(math.inf, 0.0), (0.05, 0.0), (0.05, 2.0), (math.inf, 0.5)]


@pytest.fixture(autouse=True)
def _float64():
    """Rounding is multiplied by some nets; the rest must agree to the last digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Alone(nn.Module):
    """The same net of torch's own parts. `states` keeps every hidden state of the last call, for their gradients."""

    def __init__(self, recurrent, inputs, output):
        super().__init__()
        self.rnn = nn.RNN(SYMBOLS, HIDDEN)
        self.output = nn.Linear(HIDDEN, CLASSES)
        self.rnn.bias_hh_l0.requires_grad_(False)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(recurrent.T)
            self.rnn.weight_ih_l0.copy_(inputs.T)
            self.output.weight.copy_(output.T)
            for bias in (self.rnn.bias_hh_l0, self.rnn.bias_ih_l0, self.output.bias):
                bias.zero_()

    def forward(self, tokens):
        """Step by step: the gradient of a state inside `nn.RNN` cannot be asked for."""
        state = torch.zeros(1, tokens.shape[1], HIDDEN, requires_grad=True)
        self.states = [state]
        for one_hot in torch.eye(SYMBOLS)[tokens]:
            state = self.rnn(one_hot[None], state)[1]
            self.states.append(state)
        return self.output(state[0])


def omega(model, loss):
    """Pascanu's term by autograd: the squared norms' ratio, differentiable in the recurrent weights alone."""
    deltas = torch.autograd.grad(loss, model.states, retain_graph=True)
    total, count = 0.0, 0.0
    for before, state, delta in zip(deltas[:-1], model.states[1:], deltas[1:], strict=True):
        back = (delta * (1 - state.detach().square())) @ model.rnn.weight_hh_l0
        assert torch.allclose(back, before, rtol=1e-9)
        size = delta.square().sum(-1)
        valid = size >= 1e-20
        total = total + torch.where(valid, back.square().sum(-1) / size - 1, 0.0).square().mean()
        count = count + valid.float().mean()
    return total / count


def data(updates, seed=0):
    from temporal_order import sequences

    tokens, classes = sequences(LENGTH, updates * BATCH, torch.Generator().manual_seed(seed))
    return tokens.view(updates, BATCH, LENGTH).transpose(1, 2), classes.view(updates, BATCH)


def start(seed=0):
    from stacked_rnn import smart_tanh

    recurrent, inputs, output = smart_tanh(seed, HIDDEN, SYMBOLS, CLASSES)
    return 1.3 * recurrent, 30 * inputs, 30 * output  # large enough for the clip and Omega to matter


def stacked():
    from stacked_rnn import StackedRNN

    weights = [start(seed) for seed in range(len(METHODS))]
    return StackedRNN(
        *(torch.stack(part) for part in zip(*weights, strict=True)),
        lr=0.1,
        max_norms=[clip for clip, _ in METHODS],
        omegas=[alpha for _, alpha in METHODS],
    )


@pytest.mark.parametrize("place", range(len(METHODS)))
def test_a_run_of_many_is_the_run_alone(place):
    updates = 20
    nets = stacked()
    alone = Alone(*start(place))
    optimizer = torch.optim.SGD([param for param in alone.parameters() if param.requires_grad], lr=0.1)
    max_norm, alpha = METHODS[place]
    batches = [data(updates, seed) for seed in range(len(METHODS))]
    clipped = 0
    for update in range(updates):
        nets.step(*(torch.stack([batch[part][update] for batch in batches]) for part in (0, 1)))
        logits = alone(batches[place][0][update])
        loss = nn.functional.cross_entropy(logits, batches[place][1][update])
        if alpha:
            loss = loss + alpha * omega(alone, loss)
        optimizer.zero_grad()
        loss.backward()
        clipped += clip_grad_norm_(alone.parameters(), max_norm).item() > max_norm
        optimizer.step()
    assert clipped == 0 if max_norm == math.inf else clipped > 5
    hidden = nets.params["hidden"][place]
    close = {"rtol": 1e-5, "atol": 1e-7}  # torch adds 1e-6 to the norm that is clipped
    torch.testing.assert_close(hidden[:HIDDEN], alone.rnn.weight_hh_l0.detach().T, **close)
    torch.testing.assert_close(hidden[HIDDEN:], alone.rnn.weight_ih_l0.detach().T, **close)
    torch.testing.assert_close(nets.params["bias"][place, 0], alone.rnn.bias_ih_l0.detach(), **close)
    torch.testing.assert_close(nets.params["output"][place], alone.output.weight.detach().T, **close)
    torch.testing.assert_close(nets.params["output_bias"][place, 0], alone.output.bias.detach(), **close)


def test_the_test_above_can_fail():
    """Omega and clip change the weights by far more than the tolerance."""
    ends = []
    for place in (1, 2, 3):
        nets = stacked()
        for net_part in nets.params.values():
            net_part[:] = net_part[:1]
        tokens, classes = data(30)
        for update in range(30):
            nets.step(tokens[update].expand(4, -1, -1), classes[update].expand(4, -1))
        ends.append((nets.params["hidden"][place] - nets.params["hidden"][0]).abs().max().item())
    assert min(ends) > 0.01


def test_who_leaves_does_not_change_those_who_stay():
    tokens, classes = data(10)
    whole, part = stacked(), stacked()
    for update in range(10):
        whole.step(tokens[update].expand(4, -1, -1), classes[update].expand(4, -1))
        if update == 5:
            part.keep([0, 2])
        runs = len(part.omegas)
        part.step(tokens[update].expand(runs, -1, -1), classes[update].expand(runs, -1))
    torch.testing.assert_close(whole.params["hidden"][[0, 2]], part.params["hidden"])


def test_a_gradient_that_is_not_finite_changes_nothing_and_nobody_else():
    tokens, classes = data(1)
    nets, other = stacked(), stacked()
    nets.params["output"][1] = math.nan
    before = nets.params["hidden"].clone()
    for each in (nets, other):
        each.step(tokens[0].expand(4, -1, -1), classes[0].expand(4, -1))
    assert torch.equal(nets.params["hidden"][1], before[1])
    torch.testing.assert_close(nets.params["hidden"][[0, 2, 3]], other.params["hidden"][[0, 2, 3]])


def test_sequences_hold_two_signals_at_their_places():
    tokens, classes = data(40)
    tokens, classes = tokens.transpose(1, 2).reshape(-1, LENGTH), classes.flatten()
    first, second = tokens[:, 2:4], tokens[:, 10:12]
    assert ((first < 2).sum(1) == 1).all()
    assert ((second < 2).sum(1) == 1).all()
    assert ((tokens < 2).sum(1) == 2).all()
    found = [row[row < 2].tolist() for row in tokens]
    assert [a + 2 * b for a, b in found] == classes.tolist()


def test_smart_tanh_has_its_radius_and_its_zeros():
    from stacked_rnn import smart_tanh

    recurrent, inputs, output = smart_tanh(3, 50, SYMBOLS, CLASSES)
    assert torch.linalg.eigvals(recurrent).abs().max().item() == pytest.approx(0.95, rel=1e-4)
    assert ((recurrent != 0).sum(1) == 15).all()
    assert inputs.std().item() == pytest.approx(0.01, rel=0.2)
    assert output.std().item() == pytest.approx(0.01, rel=0.2)
