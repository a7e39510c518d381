"""Other initial weights."""

import copy
import math

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.pinned import unpin_

from .runs import bare, end, fitted, lost, perceptron, rows, with_remedy


def scaled(factor, activation=nn.ReLU, lr=0.02, steps=100):
    """A perceptron whose author has drawn its weights too large, or too small."""
    model = perceptron(activation=activation)
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.mul_(factor)
    return fitted(model, torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9), rows, steps)


@pytest.mark.parametrize("remedy", ["auto-initialisation", "lsuv", "random-initialisation", "rescale-initialisation"])
def test_weights_that_amplify(remedy):
    def training():
        return scaled(12.0, lr=0.005, steps=200)

    assert lost(bare(training))
    assert end(with_remedy(training, remedy)) < 0.15


@pytest.mark.parametrize("remedy", ["auto-initialisation", "lsuv", "random-initialisation"])
def test_weights_through_which_nothing_comes(remedy):
    def training():
        return scaled(1e-3, steps=150)

    stalls = bare(training)
    assert end(stalls) > 0.4
    assert end(with_remedy(training, remedy)) < 0.15


def test_a_head_that_begins_too_large():
    def training(where=""):
        model = perceptron()
        with torch.no_grad():
            model[4].weight.mul_(60.0)
        return fitted(model, torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9), rows, 100)

    assert lost(bare(training))
    assert end(with_remedy(training, "scale-down-the-head")) < 0.3


def test_the_head_is_the_layer_that_the_finding_names():
    model = perceptron()
    before = [p.detach().clone() for p in model.parameters()]
    with Applied([intervention_for("scale-down-the-head", "2.weight")]):
        model(torch.randn(3, 4))
    moved = [not torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True)]
    assert moved == [False, False, True, False, False, False]
    assert model[2].weight.detach().numpy() == pytest.approx(0.1 * before[2].numpy())


@pytest.mark.parametrize("remedy", ["zero-bias", "auto-initialisation"])
def test_biases_that_switch_units_off(remedy):
    def training():
        model = perceptron()
        with torch.no_grad():
            model[0].bias.fill_(-9.0)
            model[2].bias.fill_(-9.0)
        return fitted(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), rows, 120)

    assert end(bare(training)) > 0.4
    assert end(with_remedy(training, remedy)) < 0.15


class Cell(nn.Module):
    """A recurrent cell written by hand."""

    def __init__(self, gain):
        super().__init__()
        self.into, self.back, self.out = nn.Linear(2, 16), nn.Linear(16, 16, bias=False), nn.Linear(16, 1)
        with torch.no_grad():
            nn.init.orthogonal_(self.back.weight).mul_(gain)

    def forward(self, x):
        h = torch.zeros(len(x), 16)
        for step in range(x.shape[1]):
            h = torch.relu(self.into(x[:, step]) + self.back(h))
        return self.out(h)


class Layer(nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.rnn, self.out = nn.RNN(2, 16, nonlinearity="relu", batch_first=True), nn.Linear(16, 1)
        with torch.no_grad():
            nn.init.orthogonal_(self.rnn.weight_hh_l0).mul_(gain)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


def sequences(step):
    x = torch.randn(32, 20, 2)
    return x, x[:, -4:, 0].sum(1, keepdim=True)


def recurrent(kind, gain):
    def training():
        model = kind(gain)
        return fitted(model, torch.optim.SGD(model.parameters(), lr=0.005), sequences, 50)

    return training


@pytest.mark.parametrize(
    ("kind", "remedy", "where"),
    [
        (Layer, "orthogonal-recurrent-init", ""),
        (Layer, "rescale-initialisation", ""),
        (Cell, "orthogonal-recurrent-init", ""),
        (Cell, "orthogonal-recurrent-init", "back.weight"),
    ],
)
def test_a_recurrence_that_amplifies(kind, remedy, where):
    training = recurrent(kind, 4.0)
    assert lost(bare(training))
    losses = with_remedy(training, remedy, where)
    assert not lost(losses)
    assert end(losses) < 0.8 * losses[0]


def test_the_recurrent_weight_is_orthogonal():
    model = Layer(3.0)
    with Applied([intervention_for("orthogonal-recurrent-init")]):
        model(torch.randn(2, 3, 2))
    weight = model.rnn.weight_hh_l0.detach()
    assert torch.allclose(weight @ weight.T, torch.eye(16), atol=1e-5)


def test_the_orthogonal_matrix_is_the_nearest_one():
    """Three and a half times the identity is meant to be the identity."""
    model = Layer(1.0)
    with torch.no_grad():
        model.rnn.weight_hh_l0.copy_(3.5 * torch.eye(16))
    before = torch.random.get_rng_state()
    with Applied([intervention_for("orthogonal-recurrent-init")]):
        model(torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(model.rnn.weight_hh_l0, torch.eye(16), atol=1e-6)
    assert torch.equal(torch.random.get_rng_state(), before), "nothing was drawn"


def test_a_model_that_is_called_by_a_method_of_its_own_has_its_named_matrix_made_orthogonal():
    class Rollout(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.K = nn.Linear(2, 8), nn.Parameter(2.0 * torch.randn(8, 8))
            self.other = nn.Parameter(2.0 * torch.randn(8, 8))

        def rollout(self, x):
            z = self.enc(x)
            for _ in range(20):
                z = z @ self.K
            return (z @ self.other).square().mean()

    torch.manual_seed(0)
    model = Rollout()
    other = model.other.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    applied = Applied([intervention_for("orthogonal-recurrent-init", "K")])
    applied.adopt(optimizer)
    assert model.rollout(torch.randn(4, 2)) < 1e3
    assert torch.allclose(model.K @ model.K.T, torch.eye(8), atol=1e-5)
    assert torch.equal(model.other, other), "what carries no state is not named"


class Rectified(nn.Module):
    """A hand-written recurrence of rectified units that says something at its end, or at every step."""

    def __init__(self, recurrent, *, each):
        super().__init__()
        self.each = each
        self.back, self.into = nn.Parameter(recurrent), nn.Parameter(0.2 * torch.randn(2, 24))
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        h, said = x.new_zeros(len(x), 24), []
        for step in range(x.shape[1]):
            h = torch.relu(x[:, step] @ self.into + h @ self.back)
            said.append(self.out(h))
        return torch.stack(said, 1) if self.each else said[-1]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("drawn", "each", "becomes"),
    [
        ("at random", False, "the identity"),
        ("at random", True, "orthogonal"),
        ("as a rotation", False, "orthogonal"),
    ],
)
def test_what_a_rectified_state_has_to_remember_decides(drawn, each, becomes, fused):
    """Every second unit is off: what a rotation carries on is halved at each step."""

    class Fused(Rectified):
        def __init__(self, recurrent, *, each):
            nn.Module.__init__(self)
            self.each, self.out = each, nn.Linear(24, 1)
            self.rnn = nn.RNN(2, 24, nonlinearity="relu", batch_first=True)
            with torch.no_grad():
                self.rnn.weight_hh_l0.copy_(recurrent)
            self.back = self.rnn.weight_hh_l0

        def forward(self, x):
            made = self.out(self.rnn(x)[0])
            return made if self.each else made[:, -1]

    torch.manual_seed(0)
    weight = torch.randn(24, 24) * 0.5
    if drawn == "as a rotation":
        weight = 2.0 * nn.init.orthogonal_(weight)
    model = (Fused if fused else Rectified)(weight, each=each)
    applied = Applied([intervention_for("orthogonal-recurrent-init", "rnn" if fused else "back")])
    with applied:
        applied.adopt(torch.optim.SGD(model.parameters(), lr=0.1))
        model(torch.randn(16, 40, 2))
    is_identity = torch.equal(model.back, torch.eye(24))
    assert is_identity == (becomes == "the identity")
    assert torch.allclose(model.back @ model.back.T, torch.eye(24), atol=1e-5)


class Products(nn.Module):
    """Two tables whose rows are multiplied with each other, and what is added to that."""

    def __init__(self, size):
        super().__init__()
        self.user, self.film = nn.Embedding(40, 16), nn.Embedding(30, 16)
        self.bias = nn.Linear(2, 1)
        for table in (self.user, self.film):
            nn.init.normal_(table.weight, std=size)

    def forward(self, user, film, x):
        return torch.sigmoid((self.user(user) * self.film(film)).sum(1, keepdim=True) + self.bias(x)).squeeze(1)


def ratings():
    user, film = torch.randint(40, (64,)), torch.randint(30, (64,))
    return user, film, torch.randn(64, 2)


@pytest.mark.parametrize("where", ["user", "film"])
def test_what_pins_a_sigmoid_is_scaled_until_it_is_at_work(where):
    torch.manual_seed(0)
    model, batch = Products(5.0), ratings()
    assert ((model(*batch) - 0.5).abs() > 0.49).float().mean() > 0.8
    applied = intervention_for("rescale-initialisation", where)
    with Applied([applied]):
        model(*batch)
    assert applied.times >= 2, "one table is as much to blame as the other"
    assert ((model(*batch) - 0.5).abs() > 0.49).float().mean() < 0.2
    ratio = model.user.weight.std() / model.film.weight.std()
    assert 0.8 < ratio < 1.25, "both alike"


def test_the_passes_that_it_takes_leave_nothing_else_behind():
    """Running statistics, random numbers and gradients are the script's own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.5))
    with torch.no_grad():
        model[1].weight.mul_(200.0)
    alone = copy.deepcopy(model)
    x, before = torch.randn(32, 4), torch.random.get_rng_state()
    alone(x)
    after = torch.random.get_rng_state()
    torch.random.set_rng_state(before)
    applied = intervention_for("rescale-initialisation", "1")
    with Applied([applied]):
        model(x)
    assert applied.times
    assert torch.equal(torch.random.get_rng_state(), after)
    assert all(map(torch.equal, model.buffers(), alone.buffers()))
    assert all(param.grad is None for param in model.parameters())


def test_a_norm_in_between_takes_no_notice_and_nothing_stays_scaled():
    torch.manual_seed(0)
    norm = nn.LayerNorm(16)
    with torch.no_grad():
        norm.weight.fill_(60.0)
    model = nn.Sequential(nn.Linear(4, 16), norm, nn.Sigmoid())
    before = model[0].weight.detach().clone()
    applied = intervention_for("rescale-initialisation", "0")
    with Applied([applied]):
        model(torch.randn(32, 4))
    assert torch.allclose(model[0].weight, before, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_overflows_is_scaled_to_something(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh()).to(dtype)
    with torch.no_grad():
        model[0].weight.fill_(3e4 if dtype == torch.float16 else 1e30)
    with Applied([intervention_for("rescale-initialisation", "0")]):
        model(torch.randn(32, 4, dtype=dtype))
    assert model[0].weight.isfinite().all()
    assert model[0].weight.abs().min() > 0


def test_a_batch_that_is_not_finite_scales_nothing():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh())
    before = model[0].weight.detach().clone()
    with Applied([intervention_for("rescale-initialisation", "0")]):
        model(torch.full((32, 4), math.nan))
    assert torch.equal(model[0].weight, before)


def test_attention_that_no_weights_make_is_nobodys_to_scale():
    """Beside a layer that pins its sigmoid: that one is scaled."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.read = nn.Linear(8, 8), nn.Linear(16, 1)

        def forward(self, x):
            looked = torch.softmax(50.0 * x @ x.transpose(1, 2), -1) @ x
            return self.read(torch.cat([torch.sigmoid(500.0 * self.lin(x)), looked], -1)).mean(1)

    torch.manual_seed(0)
    model, x = Both(), torch.randn(16, 12, 8)
    before = [param.detach().clone() for param in model.parameters()]
    found = unpin_(model, (x,), {}, "lin")
    assert [id(each) for part, _ in found for each in part.tensors] == [id(each) for each in model.lin.parameters()]
    assert 1e-3 < found[0][1] < 1e-2
    assert all(map(torch.equal, model.parameters(), before)), "only asked"


def test_a_layer_that_is_not_named_is_not_scaled():
    torch.manual_seed(0)
    model, batch = Products(5.0), ratings()
    applied = intervention_for("rescale-initialisation", "elsewhere")
    with Applied([applied]):
        model(*batch)
    assert applied.times == 0
    assert model.user.weight.std() > 4.5


def test_gates_that_forget():
    """An LSTM whose forget gates are shut loses the first step of a sequence."""

    def first(step):
        x = torch.randn(32, 25, 1)
        return x, x[:, 0]

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(1, 16, batch_first=True), nn.Linear(16, 1)
            with torch.no_grad():
                self.rnn.bias_hh_l0[16:32] = -4.0

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    def training():
        model = Reader()
        return fitted(model, torch.optim.Adam(model.parameters(), lr=1e-2), first, 160)

    assert end(bare(training)) > 0.6
    assert end(with_remedy(training, "chrono-init")) < 0.3


INITIAL = [
    "auto-initialisation",
    "lsuv",
    "random-initialisation",
    "scale-down-the-head",
    "zero-bias",
    "rescale-initialisation",
    "orthogonal-recurrent-init",
    "chrono-init",
]


@pytest.mark.parametrize("remedy", INITIAL)
def test_the_scripts_random_numbers_stay_its_own(remedy):
    torch.manual_seed(3)
    model = Layer(5.0)
    before = torch.get_rng_state()
    with Applied([intervention_for(remedy)]):
        model(torch.ones(2, 3, 2))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("remedy", INITIAL)
def test_it_happens_once_and_before_the_first_step(remedy):
    torch.manual_seed(3)
    model = Layer(5.0)
    x = torch.randn(4, 6, 2)
    with Applied([intervention_for(remedy)]):
        model(x)
        begun = [p.clone() for p in model.parameters()]
        for _ in range(3):
            model(x)
        model.rnn(x)
    assert all(torch.equal(p, was) for p, was in zip(model.parameters(), begun, strict=True))


def test_a_pass_that_is_never_completed_leaves_no_hook():
    models = [nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 1)), nn.Sequential(nn.Linear(2, 2), nn.Linear(4, 1))]
    with Applied([intervention_for("rescale-initialisation")]):
        for model in models:
            with pytest.raises(RuntimeError):
                model(torch.ones(2, model[0].in_features))
    assert not any(part._forward_hooks for model in models for part in model.modules())


def test_matrices_of_no_module_that_let_nothing_through_are_of_a_natural_size_too():
    torch.manual_seed(0)
    faint = torch.randn(64, 64, requires_grad=True)
    loud, zero = torch.randn(64, 64, requires_grad=True), torch.zeros(64, 8, requires_grad=True)
    with torch.no_grad():
        faint /= 64
    optimizer = torch.optim.SGD([faint, loud, zero], lr=0.1)
    with Applied([intervention_for("auto-initialisation")]) as applied:
        applied.adopt(optimizer)
    for each in (faint, loud):
        assert each.detach().square().mean().sqrt().item() * 8 == pytest.approx(1.0)
    assert not zero.any(), "nothing is no size"
