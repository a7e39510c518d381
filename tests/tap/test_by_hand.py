"""Scripts without an optimizer: their updates are seen from backward pass to backward pass, and never changed."""

import sys
import textwrap

import pytest
import torch

import steadygrad as sg
from steadygrad._tap.by_hand import leaves_of

HEAD = """
import torch, torch.nn.functional as F
torch.manual_seed(0)
x, y = torch.randn(64, 5), torch.randint(0, 3, (64,))
W = (0.3 * torch.randn(5, 16)).requires_grad_()
V = (0.3 * torch.randn(16, 3)).requires_grad_()
params = [W, V]
lr = {lr}
for step in range({steps}):
    loss = F.cross_entropy((x @ W).tanh() @ V, y)
"""

UPDATES = {
    "in place": """
        for p in params: p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in params:
                p -= lr * p.grad
    """,
    "through data": """
        W.grad = V.grad = None
        loss.backward()
        for p in params:
            p.data -= lr * p.grad
    """,
    "given gradients": """
        grads = torch.autograd.grad(loss, params)
        with torch.no_grad():
            for p, g in zip(params, grads):
                p.sub_(lr * g)
    """,
}


def script(update: str, lr: float = 0.5, steps: int = 60) -> str:
    end = "    print(loss.item())\n"
    return HEAD.format(lr=lr, steps=steps) + textwrap.indent(textwrap.dedent(update), "    ") + end


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_a_healthy_one_is_unchanged_and_called_healthy(update, runner):
    runner.write(script(update))
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("train.py")
    assert ran.stdout == bare
    assert (ran.summary["verdict"], ran.summary["steps"], ran.summary["findings"]) == ("healthy", 60, [])
    assert "watched, not protected" in ran.stderr
    steps = sg.open_run(ran.folder).main.steps()
    assert steps.step.tolist() == list(range(2, 60))  # the first two updates show that there is no optimizer
    printed = [float(line) for line in bare.split()]
    assert steps.loss.tolist() == pytest.approx(printed[2:], rel=1e-6)
    assert steps.lr.tolist() == pytest.approx([0.5] * 58, rel=1e-3)


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_a_rate_that_is_too_large_is_named_and_nothing_is_changed(update, runner):
    runner.write(script(update, lr=400.0))
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("train.py")
    assert ran.stdout == bare
    assert ran.summary["actions"] == []
    assert ran.summary["verdict"] == "unstable"
    assert ran.summary["findings"][0]["cause"] == "learning-rate"


def test_gradients_that_are_never_cleared_are_seen(runner):
    runner.write(script(UPDATES["in place"].replace("for p in params: p.grad = None", "pass"), lr=0.05))
    ran = runner.watched("train.py")
    assert ran.summary["findings"][0]["cause"] == "missing-zero-grad"


def test_with_an_optimizer_nothing_is_taken_for_an_update_by_hand(runner):
    text = """
    import torch
    torch.manual_seed(0)
    net, average = torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(40):
        x = torch.randn(8, 3)
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean() + (average(x) - net(x)).square().mean()
        optimizer.zero_grad(); average.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for p in average.parameters():
                p -= 0.1 * p.grad
    """
    runner.write(textwrap.dedent(text))
    ran = runner.watched("train.py")
    assert "not protected" not in ran.stderr
    assert len(sg.open_run(ran.folder).main.optimizers()) == 1
    assert ran.summary["steps"] == 40


def test_the_leaves_of_a_loss():
    a, b, c = (torch.ones(2, requires_grad=True) for _ in range(3))
    loss = (a * b).sum() + (a * 2).sum() + c.detach().sum()
    assert {id(leaf) for leaf in leaves_of(loss)} == {id(a), id(b)}
    assert leaves_of(torch.ones(())) == []
