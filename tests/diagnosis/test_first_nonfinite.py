"""Where the first bad number was: of runs in which something stands between it and the loss, or looks like it."""

import pytest

FAR_OUT = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
x = torch.randn(4, 8)
for step in range(12):
    loss = 1e-6 * model(x).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    if step == 3:
        for param in model.parameters():
            param.grad.fill_(1e22 if param.ndim == 2 else 0.0)  # weights of 1e19 and more: their squares overflow
    if step == 5:
        model[1].weight.grad.fill_(1e37)
    optimizer.step()
"""

BY_HAND = """
import torch
torch.manual_seed(0)
weight, bias = torch.randn(16, 8, requires_grad=True), torch.zeros(8, requires_grad=True)
x, y = torch.randn(32, 16), torch.randn(32, 8)
for step in range(40):
    guess = x @ weight + bias
    loss = ((guess - y) ** 2).mean()
    grads = torch.autograd.grad(loss, (weight, bias))
    with torch.no_grad():
        for each, grad in zip((weight, bias), grads):
            each -= 400.0 * grad
"""

MASKED = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(6, 5)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(20):
    x, hidden = torch.randn(4, 6), torch.zeros(4, 5)
    hidden[:, 4] = 1.0
    if step == 12:
        hidden[2] = 1.0
    shares = (model(x) + (hidden.half() * -1e9).float()).softmax(-1)
    loss = -(shares[:, :4] + 1e-3).log().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

CASES = {
    "weights whose squares overflow are finite": (FAR_OUT, {"phase": "forward", "op": "addmm", "where": "1"}),
    "an update by hand, without any module": (BY_HAND, {"phase": "loss", "op": "pow"}),
    "a mask is not the fault": (MASKED, {"step": 12, "phase": "loss", "op": "softmax", "samples": [2]}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_bad_number(case, runner):
    text, expected = CASES[case]
    runner.write(text)
    ran = runner.watched("--mode", "observe", "train.py")
    assert ran.status == 0, ran.stderr
    found = {name: ran.summary["first_nonfinite"][name] for name in expected}
    assert found == expected
