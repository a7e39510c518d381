"""The range test: what it finds, and that afterwards nothing has been."""

import copy
import math
import os
import pty
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from steadygrad.schedule import range_test


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(4 * 36, 3)
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, x):
        return self.head(self.drop(self.norm(self.conv(x)).relu().flatten(1)))


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, amsgrad=True),
    "fused": lambda p: torch.optim.AdamW(p, lr=1e-3, fused=True),
    "tensor rate": lambda p: torch.optim.Adam(p, lr=torch.tensor(1e-3)),
    "rmsprop": lambda p: torch.optim.RMSprop(p, centered=True),
}


def loader():
    torch.manual_seed(1)
    data = TensorDataset(torch.randn(96, 1, 8, 8), torch.randint(3, (96,)))
    return DataLoader(data, batch_size=16, shuffle=True)


def everything(net, optimizer):
    """All that a range test might touch, copied, and the identity of what must stay the same object."""
    state = [(id(p), copy.deepcopy(dict(s))) for p, s in optimizer.state.items()]
    groups = [{k: copy.deepcopy(v) for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    grads = [(id(p.grad), None if p.grad is None else p.grad.clone()) for p in net.parameters()]
    modes = [m.training for m in net.modules()]
    rng = (torch.get_rng_state(), np.random.get_state(), random.getstate())
    return copy.deepcopy(net.state_dict()), state, groups, grads, modes, rng


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, np.ndarray):
        return bool((a == b).all())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def trained(name, steps):
    torch.manual_seed(0)
    net = Net()
    optimizer = OPTIMIZERS[name](net.parameters())
    batches = loader()
    for (x, y), _ in zip(batches, range(steps), strict=False):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    net.drop.eval()
    return net, optimizer, batches


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 4])
def test_everything_is_as_it_was_to_the_last_bit(name, steps):
    net, optimizer, batches = trained(name, steps)
    before = everything(net, optimizer)
    found = range_test(net, optimizer, nn.CrossEntropyLoss(), batches, start=1e-5, end=100.0, steps=60)
    assert len(found.losses) > 6
    for what, was, now in zip(
        ("weights and buffers", "state", "groups", "gradients", "modes", "random numbers"),
        before,
        everything(net, optimizer),
        strict=True,
    ):
        assert same(was, now), what


def test_a_training_afterwards_is_that_without_it():
    def run(test):
        net, optimizer, batches = trained("adamw", 3)
        if test:
            range_test(net, optimizer, nn.CrossEntropyLoss(), batches, steps=20)
        losses = []
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert run(True) == run(False)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_puts_everything_back_too(error):
    net, optimizer, batches = trained("adamw", 2)
    before = everything(net, optimizer)
    calls = []

    def loss_fn(output, target):
        calls.append(1)
        if len(calls) == 9:
            raise error
        return nn.functional.cross_entropy(output, target)

    with pytest.raises(error):
        range_test(net, optimizer, loss_fn, batches, start=1e-2, steps=60)
    assert same(before, everything(net, optimizer))


def test_a_loss_that_is_nan_ends_it_and_is_in_the_record():
    net, optimizer, batches = trained("sgd", 0)
    before = everything(net, optimizer)
    calls = []

    def loss_fn(output, target):
        calls.append(1)
        return nn.functional.cross_entropy(output, target) * (
            float("nan") if len(calls) == 13 else 1.0
        )  # the first call finds the way

    found = range_test(net, optimizer, loss_fn, batches, start=1e-4, end=1.0, steps=60)
    assert math.isnan(found.losses[-1])
    assert len(found.losses) == 12
    assert found.diverged_at == found.lrs[-1]
    assert same(before, everything(net, optimizer))


@pytest.mark.parametrize("curvature", [1.0, 50.0])
def test_on_a_quadratic_it_runs_away_beyond_two_over_the_curvature(curvature):
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    batch = (torch.ones(1, 1), torch.zeros(1, 1))
    found = range_test(
        net,
        optimizer,
        lambda o, t: curvature * (o - t).square().mean() / 2 + 0.01,
        [batch],
        start=1e-5,
        end=1e3,
        steps=300,
    )
    # The weight is 1e-10 by then, or less, and has to grow from there before anything is seen.
    assert 2 / curvature < found.diverged_at < 20 / curvature
    assert found.suggestion == min(found.suggestions.values())
    assert found.suggestions["a tenth of divergence"] == pytest.approx(found.diverged_at / 10)
    assert 0 < found.suggestions["steepest descent"] < 2 / curvature


def test_the_suggestion_trains():
    net, optimizer, batches = trained("sgd", 0)
    target = nn.Linear(64, 3)
    data = [(x, target(x.flatten(1)).argmax(1)) for x, _ in batches]
    found = range_test(net, optimizer, nn.CrossEntropyLoss(), data, start=1e-6, end=1e3)
    optimizer.param_groups[0]["lr"] = found.suggestion
    losses = []
    for _ in range(15):
        for x, y in data:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert max(losses) < 3 * losses[0]
    assert np.mean(losses[-6:]) < 0.5 * losses[0]


def test_groups_keep_their_proportion():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    groups = [{"params": net[0].parameters(), "lr": 0.1}, {"params": net[1].parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups)
    seen = []
    optimizer.register_step_pre_hook(lambda o, a, k: seen.append([g["lr"] for g in o.param_groups]))
    found = range_test(
        net, optimizer, nn.MSELoss(), [(torch.ones(2, 4), torch.ones(2, 1))], start=1e-5, end=1e-2, steps=5
    )
    assert [a for a, _ in seen] == pytest.approx(found.lrs)
    assert [b / a for a, b in seen] == pytest.approx([0.1] * 5)
    assert found.lrs == pytest.approx(np.geomspace(1e-5, 1e-2, 5))
    assert found.diverged_at is None


class Dict(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x, mask=None, labels=None):
        logits = self.layer(x)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return {"logits": logits, "loss": loss}


X, Y = torch.randn(6, 3), torch.tensor([0, 1, 0, 1, 0, 1])


@pytest.mark.parametrize(
    ("net", "loss_fn", "batch"),
    [
        (nn.Linear(3, 2), nn.CrossEntropyLoss(), (X, Y)),
        (nn.Linear(3, 2), nn.CrossEntropyLoss(), [X, Y]),
        (nn.Bilinear(3, 3, 2), nn.CrossEntropyLoss(), (X, X, Y)),
        (Dict(), None, {"x": X, "labels": Y}),
        (Dict(), lambda out, batch: nn.functional.cross_entropy(out["logits"], batch["x"][:, :2].softmax(1)), {"x": X}),
        (nn.Linear(3, 2), lambda model, batch: model(batch).square().mean(), X),
    ],
)
def test_batches_may_be_of_these_kinds(net, loss_fn, batch):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    assert len(range_test(net, optimizer, loss_fn, [batch], end=1e-3, steps=8).losses) == 8


def test_an_iterator_that_ends_ends_the_test():
    net = nn.Linear(3, 2)
    found = range_test(net, torch.optim.SGD(net.parameters()), nn.CrossEntropyLoss(), iter([(X, Y)] * 7), end=1e-3)
    assert len(found.losses) == 7


@pytest.mark.parametrize(
    ("options", "batches", "words"),
    [
        ({"start": 0.0}, [(X, Y)], "start and end are 0.0 and 10.0"),
        ({"start": 1.0, "end": 0.1}, [(X, Y)], "expected 0 < start < end"),
        ({"steps": 1}, [(X, Y)], "steps is 1"),
        ({}, [], "batches is empty"),
        ({}, [X], "cannot compute a loss"),
    ],
)
def test_bad_arguments_are_refused(options, batches, words):
    net = nn.Linear(3, 2)
    with pytest.raises(ValueError, match=words):
        range_test(net, torch.optim.SGD(net.parameters()), nn.CrossEntropyLoss(), batches, **options)


SCRIPT = """
import os, signal, torch
from torch import nn
from steadygrad.schedule import range_test
net = nn.Linear(3, 2)
weights = net.weight.detach().clone()
def loss_fn(model, batch):
    batch[1] += 1
    if batch[1] == {at}:
        os.kill(os.getpid(), signal.SIGINT)
    return model(batch[0]).square().mean()
try:
    range_test(net, torch.optim.SGD(net.parameters(), lr=1.0), loss_fn, [[torch.ones(1, 3), 0]], start=1e-2)
    print("whole")
except KeyboardInterrupt:
    print("interrupted")
print("restored", torch.equal(net.weight, weights))
"""


def test_a_progress_bar_on_a_terminal_and_a_real_ctrl_c():
    terminal, end = pty.openpty()
    child = subprocess.run([sys.executable, "-c", SCRIPT.format(at=20)], stdout=subprocess.PIPE, stderr=end, timeout=60)
    os.close(end)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert child.stdout.decode().split("\n")[:2] == ["interrupted", "restored True"]
    assert "range test" in shown
    piped = subprocess.run([sys.executable, "-c", SCRIPT.format(at=-1)], capture_output=True, timeout=60)
    assert piped.stderr == b""
    assert piped.stdout.decode().split("\n")[:2] == ["whole", "restored True"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
