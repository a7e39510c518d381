"""Unmodified scripts with one fault: the cause is named, and so is the first number that is not finite."""

import sys
import textwrap

import pytest

import steadygrad as sg

HEAD = """
import torch, torch.nn.functional as F
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 3))
optimizer = torch.optim.{optimizer}
X = torch.randn(600, 6)
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
"""


def script(body: str, optimizer: str = "SGD(net.parameters(), lr=0.1)", epochs: int = 4) -> str:
    loop = f"""
for epoch in range({epochs}):
    for step in range(30):
        rows = slice(20 * step, 20 * step + 20)
        x, y = X[rows], Y[rows]
"""
    return HEAD.format(optimizer=optimizer) + loop + textwrap.indent(textwrap.dedent(body), " " * 8)


PLAIN = """
loss = F.cross_entropy(net(x), y)
optimizer.zero_grad()
loss.backward()
optimizer.step()
"""

SCRIPTS = {
    "logarithm of zero": (
        script(
            """
            shares = net(x).softmax(1)
            hit = shares[range(20), y]
            hit = torch.where(torch.arange(20) == 7, hit - hit.detach(), hit) if (epoch, step) == (1, 5) else hit
            loss = -hit.log().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            """
        ),
        "unsafe-op",
        {"step": 35, "phase": "loss", "op": "log", "samples": [7], "shape": [20]},
        ".log()",
    ),
    "root at zero": (
        script(
            """
            spread = (net(x).mean(1) - net(x).mean(1).detach()).square()
            loss = F.cross_entropy(net(x), y) + 1e-3 * (spread + (1.0 if (epoch, step) != (1, 5) else 0.0)).sqrt().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            """
        ),
        "unsafe-op",
        {"step": 35, "phase": "backward", "op": "sqrt", "shape": [20]},
        ".sqrt()",
    ),
    "an empty cell": (
        "\n".join([script(PLAIN).replace("for epoch", "X[333, 2] = float('nan')\nfor epoch", 1)]),
        "nonfinite-data",
        {"step": 16, "phase": "data", "shape": [20, 6]},
        None,
    ),
    "no zero_grad": (
        script(PLAIN.replace("optimizer.zero_grad()\n", ""), "SGD(net.parameters(), lr=0.3)", epochs=20),
        "missing-zero-grad",
        None,
        None,
    ),
    "a rate of 60": (script(PLAIN, "SGD(net.parameters(), lr=60.0)"), "learning-rate", None, None),
    "a sum over a count that came with the batch": (
        script(
            PLAIN.replace(
                "F.cross_entropy(net(x), y)",
                'F.cross_entropy(net(x), y, reduction="sum") / torch.tensor(float(len(x)))',
            ),
            "SGD(net.parameters(), lr=60.0)",
        ),
        "learning-rate",
        None,
        None,
    ),
    "a summed loss": (
        script(
            PLAIN.replace("F.cross_entropy(net(x), y)", 'F.cross_entropy(net(x), y, reduction="sum")'),
            "SGD(net.parameters(), lr=2.0)",
        ),
        "loss-scale",
        None,
        None,
    ),
    "micro-batches that are not averaged": (
        script(
            """
            optimizer.zero_grad()
            for part in range(20):
                F.cross_entropy(net(x[part:part + 1]), y[part:part + 1]).backward()
            optimizer.step()
            """,
            "SGD(net.parameters(), lr=2.0)",
        ),
        "loss-scale",
        None,
        None,
    ),
    "a loss without a minimum": (
        script("loss = -net(x).square().mean()\noptimizer.zero_grad()\nloss.backward()\noptimizer.step()"),
        "weight-growth",
        None,
        None,
    ),
    "a target that is made of the model's own outputs": (
        script(
            """
            loss = (net(x) - 1.0 - 1.2 * net(1.2 * x).detach()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            """
        ).replace("nn.Tanh()", "nn.ReLU()"),
        "weight-growth",
        None,
        None,
    ),
    "raw features": (
        script(PLAIN.replace("net(x)", "net(x * 5000 + 20000)"), "SGD(net.parameters(), lr=0.5)"),
        "input-scale",
        None,
        None,
    ),
    "a broken record": (
        script(
            PLAIN.replace(
                "net(x)", "net(torch.where((torch.arange(20) == 3)[:, None] & (step == 11), 1e6 * x, x))"
            ).replace("Tanh", "ReLU")
        ).replace("nn.Tanh()", "nn.ReLU()"),
        "outlier-batch",
        None,
        None,
    ),
    "one batch of targets in another unit, under Adam": (
        script(
            """
            target = x[:, :3] * (1e7 if (epoch, step) == (2, 10) else 1.0)
            loss = F.mse_loss(net(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            """,
            "Adam(net.parameters(), lr=1e-2)",
        ),
        "outlier-batch",
        None,
        None,
    ),
    "weights from elsewhere": (
        script(PLAIN)
        .replace(
            "nn.Linear(32, 3)", "*(nn.Sequential(nn.Linear(32, 32), nn.ReLU()) for _ in range(8)), nn.Linear(32, 3)"
        )
        .replace("X = torch", "with torch.no_grad():\n    for p in net.parameters():\n        p.mul_(6)\nX = torch", 1),
        "init-gain",
        None,
        None,
    ),
}


@pytest.mark.parametrize("mode", ["protect", pytest.param("observe", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_cause_is_named(name, mode, runner):
    text, cause, where, line = SCRIPTS[name]
    path = runner.write(text)
    ran = runner.watched("--mode", mode, "train.py")
    assert ran.status == 0, ran.stderr
    findings = ran.summary["findings"]
    assert findings, ran.stderr
    assert findings[0]["cause"] == cause
    if where is not None:
        found = ran.summary["first_nonfinite"]
        assert {key: found[key] for key in where} == where
        if line is not None:
            file, number = found["line"].rsplit(":", 1)
            assert file == str(path)
            assert line in text.splitlines()[int(number) - 1]


@pytest.mark.smoke
def test_a_healthy_run_has_no_finding_and_nothing_was_looked_at(runner):
    runner.write(script(PLAIN))
    ran = runner.watched("train.py")
    assert (ran.summary["verdict"], ran.summary["findings"]) == ("healthy", [])
    assert sg.open_run(ran.folder).main.observations() == []


OWN = """
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    def backward(ctx, grad):
        return grad
"""
"""A function that no pass can be computed again with."""


def test_a_pass_that_cannot_be_computed_again_is_diagnosed_from_the_records(runner):
    body = OWN + textwrap.dedent("""
    loss = F.cross_entropy(Own.apply(net(x)), y) * (1e6 if (epoch, step) == (2, 3) else 1.0)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    """)
    runner.write(script(body))
    ran = runner.watched("train.py")
    seen = sg.open_run(ran.folder).main.observations()
    assert any(
        "torch does not show" in str(each.detail.get("problem")) or "own" in str(each.detail.get("problem"))
        for each in seen
    )
    assert ran.summary["findings"][0]["cause"] == "outlier-batch"


def test_a_rate_is_told_from_successive_gradients_where_no_pass_can_be_computed_again(runner):
    body = OWN + textwrap.dedent("""
    loss = F.mse_loss(Own.apply(net(x)), x[:, :3])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    """)
    linear = "nn.Linear(32, 32), nn.Linear(32, 3)"
    text = script(body, "SGD(net.parameters(), lr=2.5)").replace("nn.Linear(32, 3)", linear).replace("nn.Tanh(), ", "")
    runner.write(text)
    ran = runner.watched("--mode", "observe", "train.py")
    (first,) = [each for each in ran.summary["findings"] if each["cause"] == "learning-rate"]
    assert first["evidence"]["overshoot"] > 1
    assert first["evidence"]["directional_sharpness"] > 2 / 2.5
    assert first["evidence"]["no_replay"]


@pytest.mark.smoke
def test_what_a_model_prints_is_printed_once(runner):
    body = PLAIN.replace("net(x)", "(print('called', step) or net)(x)").replace(
        "loss = ", "x = x * float('nan') if step == 9 else x\nloss = "
    )
    talking = "net.register_forward_hook(lambda *_: print('forward'))\nX = torch"
    runner.write(script(body, epochs=1).replace("X = torch", talking, 1))
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("--mode", "observe", "train.py")
    assert ran.summary["findings"]
    assert ran.stdout == bare
