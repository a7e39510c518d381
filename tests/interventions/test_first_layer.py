"""A first layer that trains as one of standardised inputs."""

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, with_remedy

FIRST = "standardise-first-layer"
SCALES = torch.tensor([1.0, 300.0, 1e-3, 40.0])


class Last(nn.Module):
    """A recurrent layer that is read at its end."""

    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.GRU(4, 8, batch_first=True), nn.Linear(8, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


class Maps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 8, 3), nn.Linear(8, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.conv(x)).mean(2))


KINDS = {
    "rows": (perceptron, (32, 4), -1),
    "sequences": (Last, (32, 6, 4), -1),
    "maps": (Maps, (32, 4, 6), 1),
}

OPTIMIZERS = {
    "momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.5),
    "adam": lambda params: torch.optim.Adam(params, lr=1e-2),
}


def training(kind, make, standardised, steps=20):
    make_model, shape, dim = KINDS[kind]

    def run():
        data = torch.randn(shape)
        over = [place for place in range(data.ndim) if place != dim % data.ndim]
        scales = SCALES.view([-1 if place == dim % data.ndim else 1 for place in range(data.ndim)])
        raw = data * scales + 5 * scales
        wanted = data.flatten(1)[:, :1]
        model = make_model()
        if standardised:
            wide = raw.double()
            raw = ((wide - wide.mean(over, keepdim=True)) / wide.std(over, keepdim=True, unbiased=False)).float()
        return fitted(model, make(model.parameters()), lambda step: (raw, wanted), steps)

    return run


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_training_on_standardised_inputs(kind, name):
    wanted = bare(training(kind, OPTIMIZERS[name], True))
    assert with_remedy(training(kind, OPTIMIZERS[name], False), FIRST) == pytest.approx(wanted, rel=5e-3)


def test_features_in_their_own_units():
    run = training("rows", OPTIMIZERS["momentum"], False, steps=100)
    assert lost(bare(run)) or end(bare(run)) > 0.5
    assert end(with_remedy(run, FIRST)) < 0.1


def test_what_the_model_computes_is_for_inputs_as_they_are():
    """After it has gone the model takes them so."""
    torch.manual_seed(0)
    x = torch.randn(64, 4) * SCALES + SCALES
    y = x[:, :1]
    model = perceptron()
    with Applied([intervention_for(FIRST)]):
        losses = fitted(model, torch.optim.Adam(model.parameters(), lr=1e-2), lambda step: (x, y), 60)
    assert nn.functional.mse_loss(model(x), y).item() == pytest.approx(losses[-1], rel=0.3)
    assert losses[-1] < 0.1


@pytest.mark.parametrize(
    "layer", [nn.ConvTranspose1d(4, 4, 3), nn.Conv1d(4, 4, 3, groups=2)], ids=["transposed", "grouped"]
)
def test_layers_whose_weights_lie_otherwise_are_left_alone(layer):
    """Of a transposed convolution with as many outputs as inputs the second dimension is that of the outputs."""
    before = layer.weight.detach().clone()
    with Applied([intervention_for(FIRST)]):
        layer(torch.randn(2, 4, 8) * 100 + 300)
    assert layer.weight.equal(before)


def test_a_step_that_is_lost_leaves_weights_to_the_last_bit():
    """A skip is a true skip: there and back again through V is no change, and neither is it one of the gradient."""
    with Applied([intervention_for(FIRST)], steps=False) as applied:
        model = perceptron()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(torch.randn(32, 4) * SCALES + 5 * SCALES).square().mean().backward()
        weights = [param.detach().clone() for param in model.parameters()]
        grads = [param.grad.clone() for param in model.parameters()]
        applied.before_step(optimizer)
        assert not all(map(torch.equal, model.parameters(), weights)), "the step would have been made on V"
        applied.after_step(optimizer)
    assert all(map(torch.equal, model.parameters(), weights))
    for param, grad in zip(model.parameters(), grads, strict=True):
        torch.testing.assert_close(param.grad, grad, rtol=1e-4, atol=1e-4 * float(grad.abs().max()))


def bare_weights(multiply):
    """A model of leaves alone."""
    w = (torch.randn(4, 16) / 2).requires_grad_()
    b = torch.zeros(16, requires_grad=True)
    v = (torch.randn(16, 1) / 4).requires_grad_()
    return [w, b, v], lambda x: torch.tanh(multiply(x, w, b)) @ v


PRODUCTS = {
    "operator": lambda x, w, b: x @ w + b,
    "mm": lambda x, w, b: b + torch.mm(x, w),
    "addmm": lambda x, w, b: torch.addmm(b, x, w),
}


@pytest.mark.parametrize("how", ["optimizer", "by-hand"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_weights_that_no_module_has(product, how):
    """What no layer knows of is found by its product, with the row that is added to it; one step later."""

    def run(standardised):
        def training():
            x = torch.randn(32, 4) * SCALES + 5 * SCALES
            y = x[:, :1] / SCALES[0] - 5
            if standardised:
                wide = x.double()
                x = ((wide - wide.mean(0)) / wide.std(0, unbiased=False)).float()
            params, model = bare_weights(PRODUCTS[product])
            optimizer = torch.optim.SGD(params, lr=0.05, momentum=0.5) if how == "optimizer" else None
            losses = []
            for _ in range(40):
                loss = (model(x) - y).square().mean()
                if optimizer is None:
                    grads = torch.autograd.grad(loss, params)
                    with torch.no_grad():
                        for p, grad in zip(params, grads, strict=True):
                            p -= 0.05 * grad
                else:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                losses.append(loss.item())
            return losses

        return training

    wanted = bare(run(True))
    assert with_remedy(run(False), FIRST)[1:] == pytest.approx(wanted[:-1], rel=5e-3)


def test_a_vector_of_weights():
    """Linear regression: one output, and a bias of one number."""

    def run():
        x = torch.randn(64, 4) * SCALES + 5 * SCALES
        y = x[:, 0]
        w, b = torch.zeros(4, requires_grad=True), torch.zeros(1, requires_grad=True)
        losses = []
        for _ in range(100):
            loss = (x @ w + b - y).square().mean()
            loss.backward()
            with torch.no_grad():
                for p in (w, b):
                    p -= 0.1 * p.grad
                    p.grad = None
            losses.append(loss.item())
        return losses

    assert lost(bare(run))
    assert end(with_remedy(run, FIRST)) < 1e-3


def test_parameters_of_an_own_module():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.b = nn.Parameter(torch.randn(4, 16) / 2), nn.Parameter(torch.zeros(16))
            self.out = nn.Linear(16, 1)

        def forward(self, x):
            return self.out(torch.tanh(x @ self.w + self.b))

    def run():
        x = torch.randn(64, 4) * SCALES + 5 * SCALES
        model = Own()
        return fitted(model, torch.optim.Adam(model.parameters(), lr=1e-2), lambda step: (x, x[:, :1] - 5), 200)

    assert end(bare(run)) > 0.3
    assert end(with_remedy(run, FIRST)) < 0.1


class Twice(nn.Module):
    """Two inputs go through one encoder."""

    def __init__(self):
        super().__init__()
        self.encoder, self.out = nn.Linear(4, 8), nn.Linear(16, 1)

    def forward(self, a, b):
        return self.out(torch.cat([torch.tanh(self.encoder(a)), torch.tanh(self.encoder(b))], 1))


class InTime(nn.Module):
    """A layer is called at each time step."""

    def __init__(self):
        super().__init__()
        self.encoder, self.state, self.out = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 1)

    def forward(self, *inputs):
        h = torch.zeros(len(inputs[0]), 8)
        for x in inputs:
            h = torch.tanh(self.encoder(x) + self.state(h))
        return self.out(h)


@pytest.mark.parametrize(("kind", "calls"), [(Twice, 2), (InTime, 20)])
def test_a_layer_that_one_pass_calls_several_times_is_standardised_once(kind, calls):
    torch.manual_seed(0)
    model = kind()
    before = model.encoder.weight.detach().clone()
    remedy = intervention_for(FIRST)
    with Applied([remedy]):
        model(*[1e3 * torch.randn(64, 4) for _ in range(calls)])
    assert remedy.times == 1
    torch.testing.assert_close(model.encoder.weight, before / 1e3, rtol=0.5, atol=0.0)


def standardised_columns(x):
    """By what each column's weights of a layer were divided."""
    layer = nn.Linear(x.shape[1], 8)
    before = layer.weight.detach().clone()
    with Applied([intervention_for(FIRST)]):
        layer(x)
    return (before / layer.weight.detach()).median(0).values


def test_a_feature_that_is_rarely_there_is_made_no_larger():
    """A pixel at the border: what one or two rows of the first batch show is no scale for what comes later."""
    torch.manual_seed(0)
    x = 100 * torch.rand(64, 5)
    x[:, 2:] = 0
    x[5, 2], x[5:7, 3], x[5, 4] = 0.01, 0.01, 255.0
    spread = standardised_columns(x)
    assert spread[:2].tolist() == pytest.approx([29.0, 29.0], rel=0.2)
    assert spread[2:].tolist() == pytest.approx([1.0, 1.0, 255 / 8], rel=0.02)


@pytest.mark.parametrize("rows", [2, 3, 5, 64])
def test_a_column_of_small_numbers_is_standardised_beside_large_ones(rows):
    """Units of their own: by the scale of the others nothing is to be seen of it, by its rows it varies."""
    torch.manual_seed(0)
    scales = torch.tensor([1e-3, 1e5, 1e5, 1e5])
    x = torch.randn(rows, 4) * scales
    assert standardised_columns(x).tolist() == pytest.approx(x.std(0, correction=0).tolist(), rel=1e-3)


def test_a_flag_that_some_rows_have_is_standardised():
    x = torch.cat([torch.randn(64, 1), (torch.arange(64) < 3).float().unsqueeze(1)], 1)
    assert standardised_columns(x)[1].item() == pytest.approx(x[:, 1].std(correction=0).item(), rel=1e-3)
