"""Gradient flossing: exponents go to zero, and a task whose gradient had vanished is learned."""

import math

import pytest
import torch
from torch import nn

from steadygrad.measure import lyapunov_exponents
from steadygrad.penalty import gradient_flossing

UNITS = 64


def made(gain, seed=0):
    torch.manual_seed(seed)
    rnn = nn.RNN(1, UNITS, bias=False)
    nn.init.normal_(rnn.weight_hh_l0, std=gain / math.sqrt(UNITS))
    return rnn


def floss(rnn, k, steps, learning_rate=3e-3, seed=0):
    """Flossing as the documentation says: on pieces of 15 steps that go on where the last one ended."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(rnn.parameters(), learning_rate)
    state = None
    for _ in range(steps):
        inputs = torch.randn(15, 16, 1, generator=generator)
        optimizer.zero_grad()
        gradient_flossing(rnn, inputs, state, k=k).backward()
        nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            state = rnn(inputs, state)[1]


def exponents(rnn, k):
    with torch.no_grad():
        return lyapunov_exponents(rnn, torch.randn(200, 8, 1, generator=torch.Generator().manual_seed(9)), k=k)


def test_it_is_the_sum_of_the_squares_over_layers_and_directions():
    rnn, inputs = nn.LSTM(3, 4, num_layers=2, bidirectional=True), torch.randn(10, 2, 3)
    wanted = sum(
        lyapunov_exponents(rnn, inputs, k=3, layer=layer, direction=direction).square().sum()
        for layer in range(2)
        for direction in range(2)
    )
    torch.testing.assert_close(gradient_flossing(rnn, inputs, k=3), wanted)
    gradient_flossing(rnn, inputs).backward()
    assert all(weight.grad.any() for name, weight in rnn.named_parameters() if "weight_hh" in name)


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_gated_layers_too(cell):
    torch.manual_seed(0)
    rnn = cell(1, 16)
    before = exponents(rnn, 4)
    floss(rnn, 4, 100, learning_rate=1e-2)
    after = exponents(rnn, 4)
    assert before.max() < -0.2
    assert after.abs().max() < 0.05


@pytest.mark.slow
def test_a_vanishing_recurrence_is_brought_to_zero():
    rnn = made(0.5)
    assert (exponents(rnn, 16) < -0.6).all()
    floss(rnn, 16, 300)
    assert exponents(rnn, 16).abs().max() < 0.05


@pytest.mark.slow
def test_an_exploding_recurrence_is_brought_to_zero():
    rnn = made(3.0)
    assert exponents(rnn, 1)[0] > 0.2
    floss(rnn, 1, 400)
    assert abs(exponents(rnn, 1)[0]) < 0.1


def delayed_copy(rnn, delay=20, steps=400):
    """The loss at the end, of 1 for a net that learns nothing: to say again what came `delay` steps ago."""
    torch.manual_seed(1)
    head = nn.Linear(UNITS, 1)
    params = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(params, lr=1e-3)
    losses = []
    for _ in range(steps):
        inputs = torch.randn(60, 32, 1)
        loss = (head(rnn(inputs)[0][delay:]) - inputs[:-delay]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-20:]) / 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_delayed_copy_is_learned_that_was_out_of_reach(seed):
    assert delayed_copy(made(0.5, seed)) > 0.9
    flossed = made(0.5, seed)
    floss(flossed, 16, 150)
    assert delayed_copy(flossed) < 0.2
