"""Xavier and He over a model: gains by what follows, fans by what is multiplied."""

import itertools
import math

import pytest
import torch
from torch import nn

from steadygrad.init import he_, xavier_
from tests.kinds_of_models import Recurrent, chain, geometric_mean, sizes_of, vectors, words


def seeded():
    return torch.Generator().manual_seed(0)


def test_the_gain_is_that_of_the_activation_that_follows_in_the_forward():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.b, self.a = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x):
            return self.c(torch.tanh(self.b(torch.relu(self.a(x)))))

    model = Functional()
    he_(model, torch.randn(8, 64), generator=seeded())
    assert model.a.weight.std().item() * 8 == pytest.approx(math.sqrt(2), rel=0.05)
    assert model.b.weight.std().item() * 8 == pytest.approx(1.59, rel=0.05)
    assert model.c.weight.std().item() * 8 == pytest.approx(1.0, rel=0.05)
    xavier_(model, torch.randn(8, 64), generator=seeded())
    assert model.b.weight.std().item() * 8 == pytest.approx(5 / 3, rel=0.05)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU])
def test_he_keeps_the_size_over_depth(activation):
    torch.manual_seed(0)
    # Six layers: but for ReLUs the size 1 is no stable point, and chance is amplified from layer to layer.
    model, batch = chain(6, 256, activation), vectors(256)
    he_(model, batch, generator=seeded())
    sizes = sizes_of(model, batch, nn.Linear)[1:-1]
    assert 0.9 < geometric_mean([after / before for before, after in itertools.pairwise(sizes)]) < 1.1


def test_fans_of_transposed_weights_and_transposed_convolutions():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Parameter(torch.randn(16, 400))  # (in, out)
            self.up = nn.ConvTranspose2d(100, 30, 4, stride=2, padding=1)

        def forward(self, x):
            return self.up((x @ self.mix).view(-1, 100, 2, 2))

    model, batch = Net(), torch.randn(500, 16)
    he_(model, batch, generator=seeded())
    assert model.mix.std().item() == pytest.approx(1 / math.sqrt(16), rel=0.05)
    middle = (batch @ model.mix).view(-1, 100, 2, 2)
    out = nn.functional.conv_transpose2d(middle.repeat(1, 1, 4, 4), model.up.weight, stride=2, padding=1)
    assert out[:, :, 4:-4, 4:-4].std().item() == pytest.approx(middle.std().item(), rel=0.2)


def test_what_is_left_alone():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.norm = nn.Embedding(30, 8), nn.LayerNorm(8)
            self.a, self.frozen, self.zero = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
            self.frozen.weight.requires_grad_(False)
            nn.init.zeros_(self.zero.weight)

        def forward(self, tokens):
            x = self.a(self.norm(self.words(tokens)))
            return x + self.zero(self.frozen(x))

    model, batch = Net(), words()
    before = {name: param.clone() for name, param in model.named_parameters()}
    he_(model, batch)
    changed = {name for name, param in model.named_parameters() if not torch.equal(param, before[name])}
    assert changed == {"a.weight", "a.bias", "frozen.bias", "zero.bias"}


def test_recurrent_weights_become_orthogonal_gate_by_gate():
    model = Recurrent("GRU")
    xavier_(model, words())
    gate = model.rnn.weight_hh_l0[:24].detach()
    assert torch.allclose(gate @ gate.T, torch.eye(24), atol=1e-5)


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="fan_in, fan_out"):
        he_(chain(), vectors(), mode="fan")
