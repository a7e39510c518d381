"""Scripts without an optimizer: their updates are seen from backward pass to backward pass, and their gradients guarded."""

import math
import sys
import textwrap
from pathlib import Path

import pytest
import torch

import steadygrad as sg
from steadygrad._tap.by_hand import leaves_of

ZOO = Path(__file__).parents[2] / "zoo" / "failing"

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


each = pytest.mark.parametrize(
    "update",
    [
        pytest.param(text, marks=[] if name == "in place" else pytest.mark.slow, id=name)
        for name, text in UPDATES.items()
    ],
)
"""Every way of writing an update; all but the first with the slow tests, for each is a process or two."""


def script(update: str, lr: float = 0.5, steps: int = 60) -> str:
    end = "    print(loss.item())\n"
    return HEAD.format(lr=lr, steps=steps) + textwrap.indent(textwrap.dedent(update), "    ") + end


@each
def test_a_healthy_one_is_unchanged_and_called_healthy(update, runner):
    runner.write(script(update))
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("train.py")
    assert ran.stdout == bare
    assert (ran.summary["verdict"], ran.summary["steps"], ran.summary["findings"]) == ("healthy", 60, [])
    assert "their gradients are guarded" in ran.stderr
    steps = sg.open_run(ran.folder).main.steps()
    assert steps.step.tolist() == list(range(2, 60))  # the first two updates show that there is no optimizer
    printed = [float(line) for line in bare.split()]
    assert steps.loss.tolist() == pytest.approx(printed[2:], rel=1e-6)
    assert steps.lr.tolist() == pytest.approx([0.5] * 58, rel=1e-3)


@each
def test_a_rate_that_is_too_large_is_named_and_nothing_is_changed_where_it_is_observed(update, runner):
    runner.write(script(update, lr=400.0))
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("--mode", "observe", "train.py")
    assert ran.stdout == bare
    assert ran.summary["actions"] == []
    assert ran.summary["verdict"] == "unstable"
    assert ran.summary["findings"][0]["cause"] == "learning-rate"


def test_its_guard_loads_no_compiler(runner):
    """A second of every start, and torch imports it only where an optimizer is made."""
    runner.write(script(UPDATES["in place"]) + "import sys; print('torch._dynamo' in sys.modules)\n")
    ran = runner.watched("--mode", "repair", "train.py")
    assert "their gradients are guarded" in ran.stderr
    assert ran.stdout.endswith("False\n")


SPOILED = {
    "not a number": "x[7, 2] = float('nan') if step in (30, 31) else 0.5",
    "a burst": "x[7, 2] = 1e7 if step in (30, 31) else 0.5",
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
@each
def test_a_spoiled_batch_does_no_harm(update, spoiled, runner):
    text = script(update).replace("    loss = F", f"    {spoiled}\n    loss = F").replace(".tanh()", ".relu()")
    runner.write(text)
    bare = [float(line) for line in runner.bare(sys.executable, "train.py").stdout.split()]
    ran = runner.watched("train.py")
    losses = [float(line) for line in ran.stdout.split()]
    assert losses[:30] == bare[:30]
    assert not bare[-1] < losses[0]
    assert losses[-1] < losses[29]
    assert ran.summary["verdict"] == "recovered"
    assert {each["action"] for each in ran.summary["actions"]} <= {"skip", "clip", "roll-back"}


@pytest.mark.slow
def test_an_optimizer_of_nobodys_family_is_protected_too(runner):
    """A class that torch knows nothing of: its moments are its own, and decay over a step that is lost."""
    own = """
    class Adam:
        def __init__(self, params, lr):
            self.params, self.lr, self.t = params, lr, 0
            self.m, self.v = ([torch.zeros_like(p) for p in params] for _ in range(2))
        def step(self):
            self.t += 1
            for p, m, v in zip(self.params, self.m, self.v):
                m.mul_(0.9).add_(p.grad, alpha=0.1)
                v.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
                p.data -= self.lr * (m / (1 - 0.9**self.t)) / ((v / (1 - 0.999**self.t)).sqrt() + 1e-8)
                p.grad = None
    """
    head, loop = HEAD.format(lr=0.05, steps=120).split("for step")
    text = f"{head}{textwrap.dedent(own)}\noptimizer = Adam(params, lr)\nfor step{loop}    loss.backward(); optimizer.step()\n    print(loss.item())\n"
    runner.write(text)
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("train.py")
    assert ran.stdout == bare
    assert ran.summary["verdict"] == "healthy"
    runner.write(text.replace("    loss = F", "    x[7, 2] = float('nan') if step == 40 else 0.5\n    loss = F"))
    losses = [float(line) for line in runner.watched("train.py").stdout.split()]
    assert [step for step, loss in enumerate(losses) if loss != loss] == [40]
    assert losses[-1] < 0.5 * losses[39]


@pytest.mark.slow
@each
def test_weights_that_are_lost_before_anybody_knew_are_put_back(update, runner):
    """The first two updates are made before it is known that there is no optimizer."""
    runner.write(
        script(update).replace("    loss = F", "    x[7, 2] = float('nan') if step == 1 else 0.5\n    loss = F")
    )
    assert "nan" in runner.bare(sys.executable, "train.py").stdout.split()[-1]
    ran = runner.watched("train.py")
    losses = [float(line) for line in ran.stdout.split()]
    assert losses[-1] < 0.9 * losses[0]
    assert [each["detail"]["to"] for each in ran.summary["actions"] if each["action"] == "roll-back"] == [0]


@pytest.mark.slow
@each
def test_repair_finds_a_rate_that_is_harmless(update, runner):
    runner.write(script(update, lr=400.0, steps=150))
    bare = [float(line) for line in runner.bare(sys.executable, "train.py").stdout.split()]
    ran = runner.watched("--mode", "repair", "train.py")
    losses = [float(line) for line in ran.stdout.split()]
    assert losses[-1] < 0.8 * losses[0] < bare[-1]
    assert [each["detail"]["remedy"] for each in ran.summary["actions"] if each["action"] == "repair"] == [
        "lower-learning-rate"
    ]


@pytest.mark.slow
@pytest.mark.smoke
def test_repair_clears_gradients_that_nobody_clears(runner):
    runner.write((ZOO / "missing-zero-grad" / "softmax_by_hand.py").read_text())
    bare = float(runner.bare(sys.executable, "train.py").stdout.split()[-1])
    ran = runner.watched("--mode", "repair", "train.py")
    repairs = [each["detail"]["remedy"] for each in ran.summary["actions"] if each["action"] == "repair"]
    assert repairs == ["zero-grad-before-backward"]
    assert float(ran.stdout.split()[-1]) < 0.2 * bare


def test_what_is_written_down_after_an_update_is_no_part_of_the_next_pass(runner):
    """`loss.detach()` behind the update: the loss that it is taken of was made before."""
    runner.write(
        script(UPDATES["given gradients"], lr=400.0).replace("print(loss.item())", "print(float(loss.detach()))")
    )
    ran = runner.watched("--mode", "observe", "train.py")
    assert ran.summary["findings"][0]["cause"] == "learning-rate"
    looks = [each.detail for each in sg.open_run(ran.folder).main.observations() if each.kind == "examination"]
    assert any(each["evidence"] is not None for each in looks)


def test_gradients_of_several_passes_are_left_alone(runner):
    """None of them is that of a step, and what a pass leaves there is wanted by the next."""
    update = """
        loss.backward()
        if step % 4 == 3:
            with torch.no_grad():
                for p in params:
                    p -= lr * p.grad / 4
                    p.grad = None
    """
    text = script(update, steps=120)
    runner.write(text.replace("    loss = F", "    x[7, 2] = float('nan') if step > 100 else 0.5\n    loss = F"))
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("train.py")
    assert ran.stdout == bare
    assert "watched, not protected" in ran.stderr
    assert ran.summary["verdict"] == "unstable"
    assert ran.summary["actions"] == []


def test_a_second_model_that_is_trained_after_the_first_is_guarded_too(runner):
    second = script(UPDATES["in place"]).replace("    loss = F", f"    {SPOILED['not a number']}\n    loss = F")
    runner.write(script(UPDATES["in place"], steps=20) + second)
    bare = [float(line) for line in runner.bare(sys.executable, "train.py").stdout.split()]
    ran = runner.watched("train.py")
    losses = [float(line) for line in ran.stdout.split()]
    assert losses[:50] == bare[:50]
    assert math.isnan(bare[-1])
    assert losses[-1] < losses[20]
    assert ran.summary["verdict"] == "recovered"
    assert {each["action"] for each in ran.summary["actions"]} == {"skip"}


def test_passes_of_another_model_beside_it_are_not_its_steps(runner):
    """A second one that begins to train later, in the same loop, on losses of its own: here one that is not a number."""
    second = """
        for p in params: p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in params:
                p -= lr * p.grad
        if step >= 20:
            (other * float("nan")).sum().backward()
    """
    text = script(second).replace("params = [W, V]", "params = [W, V]\nother = torch.ones(3, requires_grad=True)")
    runner.write(text)
    bare = runner.bare(sys.executable, "train.py").stdout
    ran = runner.watched("train.py")
    assert ran.stdout == bare
    assert ran.summary["actions"] == []


@each
def test_a_lost_step_leaves_the_weights_as_they_were_to_the_last_bit(update, runner):
    spoil = "before = [p.detach().clone() for p in params]\n    x[7, 2] = float('nan') if step == 30 else 0.5"
    text = script(update).replace("    loss = F", f"    {spoil}\n    loss = F")
    told = "print(all(torch.equal(old, new.detach()) for old, new in zip(before, params)))"
    runner.write(text.replace("print(loss.item())", told))
    same = runner.watched("train.py").stdout.split()
    assert [step for step, each in enumerate(same) if each == "True"] == [30]


@pytest.mark.parametrize("name", ["settle", "before", "after"])
def test_an_error_of_ours_lets_go_of_the_run(name, runner):
    broken = f"""
    from steadygrad._watch.process import Watcher
    def fail(*args, **kwargs): raise RuntimeError("ours")
    Watcher.{name} = fail
    """
    runner.write(script(UPDATES["in place"]))
    bare = runner.bare(sys.executable, "train.py").stdout
    runner.write(textwrap.dedent(broken) + script(UPDATES["in place"]))
    ran = runner.watched("train.py")
    assert (ran.status, ran.stdout) == (0, bare)
    assert "it has let go of this run" in ran.stderr
    assert ran.summary["verdict"] == "unobserved"


@pytest.mark.slow
def test_what_nothing_mends_is_stopped_in_the_backward_pass(runner):
    runner.write(
        script(UPDATES["in place"], steps=200).replace(
            "    loss = F", "    x[7, 2] = float('nan') if step > 20 else 0.5\n    loss = F"
        )
    )
    ran = runner.watched("train.py")
    assert ran.status == 1
    assert "TrainingDiverged" in ran.stderr
    assert ran.summary["verdict"] == "stopped"


def test_running_statistics_forget_a_batch_that_is_lost(runner):
    text = """
    import torch
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
    for step in range(60):
        x = torch.randn(32, 5)
        y = x[:, :1].clone()
        if step == 30:
            x[0, 0] = float("nan")
        loss = (net(x) - y).square().mean()
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.05 * p.grad
    print(loss.item(), net[1].running_mean.isfinite().all().item())
    """
    runner.write(textwrap.dedent(text))
    assert runner.bare(sys.executable, "train.py").stdout.split() == ["nan", "False"]
    loss, sound = runner.watched("train.py").stdout.split()
    assert float(loss) < 1.0
    assert sound == "True"


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
    assert "makes its updates itself" not in ran.stderr
    assert len(sg.open_run(ran.folder).main.optimizers()) == 1
    assert ran.summary["steps"] == 40


def test_the_leaves_of_a_loss():
    a, b, c = (torch.ones(2, requires_grad=True) for _ in range(3))
    loss = (a * b).sum() + (a * 2).sum() + c.detach().sum()
    assert {id(leaf) for leaf in leaves_of(loss)} == {id(a), id(b)}
    assert leaves_of(torch.ones(())) == []
