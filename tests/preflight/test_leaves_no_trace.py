"""A check changes nothing: weights, moments, buffers, gradients, modes, random numbers, hooks."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.measure.objective import Objective
from steadygrad.preflight.rehearsal import rehearse


class Sentences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.rnn = nn.Embedding(12, 8), nn.LSTM(8, 8, 2, batch_first=True, dropout=0.2)
        self.norm, self.head = nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.norm(self.rnn(self.words(x))[0][:, -1]))


def state_of(model, optimizer):
    return {
        "tensors": {name: value.clone() for name, value in model.state_dict().items()},
        "grads": [None if param.grad is None else param.grad.clone() for param in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()],
        "required": [param.requires_grad for param in model.parameters()],
        "moments": {i: {k: copy.deepcopy(v) for k, v in s.items()} for i, s in enumerate(optimizer.state.values())},
        "options": [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups],
        "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()),
    }


def assert_same(a, b):
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, np.ndarray):
        assert np.array_equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_same(left, right)
    else:
        assert a == b


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "sgd, too fast": lambda p: torch.optim.SGD(p, 1e4),
    "adamw": lambda p: torch.optim.AdamW(p, 1e-3),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-3),
    "lbfgs": lambda p: torch.optim.LBFGS(p, 0.1, max_iter=3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("trained", [False, True], ids=["new", "trained"])
def test_everything_is_as_before(name, trained):
    torch.manual_seed(0)
    model = Sentences()
    optimizer = OPTIMIZERS[name](model.parameters())
    x, y = torch.randint(12, (6, 9)), torch.randint(3, (6,))
    if trained and "fast" not in name:

        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
    before = state_of(model, optimizer)
    result = sg.check(model, (x, y), nn.CrossEntropyLoss(), optimizer)
    assert_same(state_of(model, optimizer), before)
    assert result.skipped.keys() <= {"sharpness"}
    assert (name == "lbfgs") == ("sharpness" in result.skipped)


def test_a_rehearsal_makes_the_steps_that_training_would():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    x, y = torch.randn(8, 4), torch.randn(8, 2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    rehearsed = rehearse(Objective(model, (x, y), nn.MSELoss()), optimizer, 1.0, steps=6)
    losses = []
    for _ in range(7):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert list(rehearsed.losses) == losses


def test_an_error_in_the_middle_puts_everything_back():
    model, x, y = nn.Linear(3, 2), torch.randn(4, 3), torch.randn(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    calls = []

    def loss_fn(output, target):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("out of memory")
        return nn.functional.mse_loss(output, target)

    objective, before = Objective(model, (x, y), loss_fn), state_of(model, optimizer)
    with pytest.raises(RuntimeError, match="out of memory"):
        rehearse(objective, optimizer, 0.1)
    assert_same(state_of(model, optimizer), before)
