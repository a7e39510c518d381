"""`steadygrad run` in all its forms, and what it leaves."""

import json
import re
import sys

import pytest

import steadygrad as sg

TRAIN = """
import sys
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
bad = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdecimal() else None
for step in range(30):
    loss = model(torch.randn(16, 4)).square().mean()
    if step == bad:
        loss = loss * float("nan")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(sys.argv[1:], __name__, sys.path[0] == "" or "runs" not in sys.path[0], repr(loss.item()))
"""

EXPLODES = """
import sys, torch
torch.manual_seed(0)
x = torch.randn(64, 8)
y = x.sum(1, keepdim=True)
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=float(sys.argv[1]))
for _ in range(60):
    loss = (model(x) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
"""

KEYS = {
    "schema", "run", "mode", "world_size", "steps", "verdict", "reason", "first_alarm_step", "findings",
    "first_nonfinite", "actions", "action_counts", "alarms", "remedied", "loss", "overhead", "exit",
}  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        ["train.py"],
        ["-m", "train"],
        pytest.param(["-m", "pack.train"], marks=pytest.mark.slow),
        pytest.param(["--", sys.executable, "train.py"], marks=pytest.mark.slow),
        ["--", "sh", "-c", f"{sys.executable} train.py"],
    ],
    ids=["script", "module", "submodule", "command", "shell"],
)
def test_every_form_is_watched_and_unchanged(form, runner):
    runner.write(TRAIN)
    runner.write("", "pack/__init__.py")
    runner.write(TRAIN, "pack/train.py")
    bare = runner.bare(*([sys.executable, *form] if form[0] != "--" else form[1:]))
    ran = runner.watched(*form)
    assert bare.returncode == 0, bare.stderr
    assert (ran.status, ran.stdout) == (0, bare.stdout)
    assert (ran.summary["verdict"], ran.summary["steps"]) == ("healthy", 30)


def test_everything_behind_the_script_is_the_scripts(runner):
    runner.write(TRAIN)
    words = ["--help", "--mode", "observe", "--json", "x.json", "--", "-m", "--out=y", "é ü", ""]
    ran = runner.watched("train.py", *words)
    assert ran.stdout.startswith(repr(words))
    assert ran.summary["mode"] == "protect"
    assert not (runner.folder / "x.json").exists()


def test_the_json_has_the_schema(runner):
    runner.write(TRAIN)
    summary = runner.watched("train.py", "12").summary
    assert set(summary) == KEYS
    assert summary["schema"] == "steadygrad.run/1"
    assert summary["verdict"] == "recovered"
    assert summary["first_alarm_step"] == 12
    found = summary["first_nonfinite"]
    assert (found["step"], found["phase"], found["op"], found["shape"]) == (12, "data", "mul", [])
    assert found["line"].startswith(f"{runner.folder / 'train.py'}:")
    assert [(action["step"], action["action"]) for action in summary["actions"]] == [(12, "skip")]
    assert summary["actions"][0]["detail"]["loss"] == "nan"
    assert set(summary["loss"]) == {"first", "best", "last"}
    assert 0 < summary["overhead"]["seconds"] < 5
    assert summary["exit"] == {"status": 0, "signal": None, "error": None}


@pytest.mark.smoke
def test_observe_changes_nothing_and_tells_the_truth(runner):
    runner.write(TRAIN)
    bare = runner.bare(sys.executable, "train.py", "12")
    ran = runner.watched("--mode", "observe", "train.py", "12")
    assert ran.stdout == bare.stdout
    assert ran.stdout.strip().endswith("nan")
    assert ran.summary["verdict"] == "unstable"
    assert ran.summary["actions"] == []


@pytest.mark.smoke
def test_what_is_said_on_stderr(runner):
    runner.write(TRAIN)
    lines = runner.watched("train.py", "12").stderr.splitlines()
    assert re.fullmatch(r"steadygrad: watching 2 tensors \(protect\), run at \S+/runs/train-\d{8}-\d{6}", lines[0])
    assert lines[1].startswith("steadygrad: step 12: skipped, the gradient or the loss is not finite (weight, bias)")
    assert lines[2].startswith("steadygrad: recovered · ")
    assert any("1 × skip" in line for line in lines)
    quiet = runner.watched("--quiet", "train.py").stderr.splitlines()
    assert len(quiet) == 1


def test_the_report_is_written_with_the_run(runner):
    runner.write(TRAIN)
    ran = runner.watched("--report", "page.html", "train.py", "12")
    page = (runner.folder / "page.html").read_text()
    assert ran.status == 0
    assert "recovered" in page
    assert "page.html" in ran.stderr
    again = runner.bare(sys.executable, "-m", "steadygrad", "report", ran.summary["run"])
    assert again.returncode == 0
    assert (ran.folder / "report.html").stat().st_size > 100_000


def test_runs_lists_them(runner):
    runner.write(TRAIN)
    runner.watched("train.py", "12")
    runner.watched("train.py")
    listed = runner.bare(sys.executable, "-m", "steadygrad", "runs").stdout
    assert listed.count("train-") == 2
    assert "recovered" in listed
    assert "healthy" in listed


def test_a_report_that_cannot_be_made_is_said_before_the_script_runs(runner):
    runner.write(
        "import sys\nsys.modules['bokeh'] = None\nfrom steadygrad.cli import main\nmain()\n", "without_bokeh.py"
    )
    runner.write(TRAIN)
    done = runner.bare(sys.executable, "without_bokeh.py", "run", "--report", "page.html", "train.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'steadygrad[ui]'" in done.stderr


def test_a_run_knows_its_command(runner):
    runner.write(TRAIN)
    ran = runner.watched("train.py", "12")
    manifest = json.loads((ran.folder / "run.json").read_text())
    assert manifest["command"][1:] == ["train.py", "12"]
    assert sg.open_run(ran.folder).findings()[0].cause == "nonfinite-data"


def test_watch_inside_a_script_that_is_run_is_one_watcher(runner):
    runner.write(
        TRAIN.replace("bad =", "import steadygrad as sg\nwatch = sg.watch(model, optimizer)\nbad =")
        + "watch.close()\nprint(watch.run.parent.name)\n"
    )
    ran = runner.watched("train.py", "12")
    assert ran.stderr.count("watching") == 1
    assert (ran.summary["verdict"], ran.summary["steps"]) == ("recovered", 30)
    assert len(list(runner.folder.glob("runs/*"))) == 1


def test_two_watches_one_after_the_other_in_one_run(runner):
    runner.write(
        "import torch, steadygrad as sg\n"
        "for bad in (None, 5):\n"
        "    model = torch.nn.Linear(2, 1)\n"
        "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "    with sg.watch(model, optimizer):\n"
        "        for step in range(20):\n"
        "            optimizer.zero_grad()\n"
        "            (model(torch.randn(4, 2)).square().mean() * (float('nan') if step == bad else 1)).backward()\n"
        "            optimizer.step()\n"
    )
    ran = runner.watched("train.py")
    assert len(list(ran.folder.glob("rank0-*.db"))) == 2
    assert (ran.summary["verdict"], ran.summary["first_alarm_step"]) == ("recovered", 5)
    assert ran.summary["action_counts"] == {"skip": 1}


def test_a_remedy_that_is_chosen_by_hand_is_applied_and_recorded(runner):
    """Two of them, on a run that explodes without: the losses are those of the script that has the change in it."""
    runner.write(EXPLODES)
    bare = runner.bare(sys.executable, "train.py", "2.0")
    assert bare.stdout.split()[-1] in ("nan", "inf")
    by_hand = runner.bare(sys.executable, "train.py", "0.02")
    ran = runner.watched(
        "--mode",
        "observe",
        "--remedy",
        "lower-learning-rate:factor=0.01",
        "--remedy",
        "normalisation",
        "train.py",
        "2.0",
    )
    assert ran.stdout == by_hand.stdout
    assert ran.summary["verdict"] == "healthy"
    assert ran.summary["remedied"] == [
        {"remedy": "lower-learning-rate", "where": "", "options": {"factor": 0.01}, "times": 60},
        {"remedy": "normalisation", "where": "", "options": {}, "times": 0},
    ]
    assert "applied lower-learning-rate (60 times)" in re.sub(" +", " ", ran.stderr)
    assert "never: nothing to change" in ran.stderr
