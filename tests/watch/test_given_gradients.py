"""Gradients that `torch.autograd.grad` gives to a script, which puts them where an optimizer looks for them."""

import sys

import pytest
import torch
from torch import nn

import steadygrad as sg

SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
params = list(model.parameters())
optimizer = torch.optim.Adam(params, lr=0.01)
for param in params:
    param.grad = torch.zeros_like(param)
for _ in range(60):
    x = torch.randn(32, 4)
    loss = (model(x) - x[:, :1]).square().mean()
    for param, grad in zip(params, torch.autograd.grad(loss, params)):
        {put}
    optimizer.step()
    print(loss.item())
"""


@pytest.mark.parametrize("put", ["param.grad = grad", "param.grad.copy_(grad)"])
def test_they_pile_up_nowhere_and_their_losses_are_known(put, runner):
    script = runner.folder / "train.py"
    script.write_text(SCRIPT.format(put=put))
    bare = runner.bare(sys.executable, str(script))
    watched = runner.bare(sys.executable, "-m", "steadygrad", "run", "--quiet", "--out", "out", str(script))
    assert watched.stdout == bare.stdout != ""
    (folder,) = (runner.folder / "out").iterdir()
    run = sg.open_run(folder)
    assert run.verdict == "healthy"
    steps = run.main.steps(0)
    assert steps.loss_known.all()
    assert [float(loss) for loss in steps.loss] == pytest.approx(list(map(float, bare.stdout.split())))


def test_what_is_replaced_after_a_backward_pass_has_nothing_to_clear(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(60):
            x = torch.randn(16, 8)
            before = [None if param.grad is None else param.grad.clone() for param in model.parameters()]
            (model(x) - x[:, :1]).square().mean().backward()
            for param, old in zip(model.parameters(), before, strict=True):
                if old is not None:
                    param.grad = param.grad - old  # cleared, in its own way
            optimizer.step()
    assert sg.open_run(watch.run).verdict == "healthy"


def test_what_is_never_cleared_is_said_still(tmp_path):
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(60):
            x = torch.randn(16, 8)
            (model(x) - x[:, :1]).square().mean().backward()
            optimizer.step()
    assert {alarm.detector for alarm in sg.open_run(watch.run).main.alarms()} == {"uncleared-gradient"}
