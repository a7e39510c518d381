"""On a CUDA device: penalties and what is measured of recurrences are what they are on the CPU."""

import pytest
import torch
from torch import nn

from steadygrad.measure import TimeGradientProbe, lyapunov_exponents, spectral_radius
from steadygrad.penalty import pascanu_omega

from .kinds import KINDS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_penalty_is_the_same_on_a_gpu(kind):
    terms, grads = [], []
    for device in ("cpu", "cuda"):
        leaf = kind.leaf(torch.float32).to(device).requires_grad_()
        term = kind.term(leaf)
        assert term.device.type == device
        terms.append(term.cpu())
        grads.append(torch.autograd.grad(term, leaf)[0].cpu())
    torch.testing.assert_close(*terms, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(*grads, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_exponents_are_the_same_on_a_gpu(make):
    net, inputs = make(3, 16), torch.randn(20, 4, 3)
    on_cpu = lyapunov_exponents(net, inputs, k=3)
    torch.testing.assert_close(lyapunov_exponents(net.cuda(), inputs.cuda(), k=3).cpu(), on_cpu, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU])
def test_gradients_by_time_are_the_same_on_a_gpu(make):
    net, inputs = make(3, 16, num_layers=2, bidirectional=True), torch.randn(20, 4, 3)
    curves = []
    for device in ("cpu", "cuda"):
        net, inputs = net.to(device), inputs.to(device)
        with TimeGradientProbe(net) as probe:
            net(inputs)[0].square().sum().backward()
        curves.append([curve.hidden.cpu() for curve in probe.gradients()])
    torch.testing.assert_close(*curves, rtol=1e-3, atol=1e-5)


def test_omega_of_cudnns_layer_and_a_spectral_radius():
    rnn, inputs = nn.RNN(3, 16), torch.randn(20, 4, 3)
    found = []
    for device in ("cpu", "cuda"):
        rnn, inputs = rnn.to(device), inputs.to(device)
        output, _ = rnn(inputs)
        found.append(
            (pascanu_omega(rnn, output, output[-1].square().sum()).cpu(), spectral_radius(rnn.weight_hh_l0).cpu())
        )
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)
