"""A loss scale that a script has written itself: it is no part of the loss, and it can be too large."""

import torch
from torch import nn

import steadygrad as sg

from .recorded import recorded

GROWING = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
masters = [p.detach().clone().requires_grad_() for p in model.parameters()]
model.half()
optimizer = torch.optim.SGD(masters, lr=0.1)
scale = 2.0**9
for step in range(240):
    x = torch.randn(32, 8)
    loss = (model(x.half()).float() - x[:, :1] * x[:, 1:2]).square().mean()
    model.zero_grad()
    (scale * loss).backward()
    for master, p in zip(masters, model.parameters()):
        master.grad = p.grad.float() / scale
    optimizer.step()
    with torch.no_grad():
        for master, p in zip(masters, model.parameters()):
            p.copy_(master)
    if step % 8 == 7:
        scale = min(scale * 2, LIMIT)
print(loss.item())
"""


def test_a_scale_that_outgrows_float16_is_named_and_held(runner):
    runner.write(GROWING.replace("LIMIT", "2.0**40"))
    ran = runner.watched("--mode", "repair", "train.py")
    (first, *_) = ran.summary["findings"]
    assert first["cause"] == "half-overflow"
    assert first["evidence"]["loss_scale"] >= 2.0**16
    assert [each["detail"]["remedy"] for each in ran.summary["actions"] if each["action"] == "repair"] == [
        "lower-loss-scale"
    ]
    assert ran.summary["verdict"] == "recovered"
    assert float(ran.stdout.split()[-1]) < 0.5


def test_a_sound_one_is_no_rise_of_the_loss(runner):
    """It is doubled ten times, and the loss is what the script prints."""
    runner.write(GROWING.replace("LIMIT", "2.0**14"))
    ran = runner.watched("--mode", "repair", "train.py")
    assert ran.summary["verdict"] == "healthy"
    assert ran.summary["alarms"] == []
    assert abs(ran.summary["loss"]["last"] - float(ran.stdout.split()[-1])) < 0.5


def test_the_loss_is_recorded_without_it(tmp_path):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(4):
            loss = model(torch.randn(8, 4)).square().mean()
            optimizer.zero_grad()
            (loss * 65536 / 4).backward()
            for param in model.parameters():
                param.grad.mul_(4 / 65536)
            optimizer.step()
            losses.append(loss.item())
    assert torch.allclose(torch.tensor(recorded(watch).steps(0).loss), torch.tensor(losses, dtype=torch.float64))
