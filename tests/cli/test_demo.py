"""The demo command, as a new user types it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from steadygrad import gallery
from steadygrad.cli.demo import demo as command
from steadygrad.errors import SteadygradError
from steadygrad.gallery import DEMOS
from steadygrad.gallery.cures import CURES

NAMES = [each.name for each in DEMOS]


def steadygrad(runner, *words, **options):
    return runner.bare(sys.executable, "-m", "steadygrad", *words, **options)


def test_all_are_listed_in_a_line(runner):
    done = steadygrad(runner, "demo", "--list", env={**os.environ, "COLUMNS": "200"})
    assert [line.split()[0] for line in done.stdout.splitlines()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_script_can_be_read_and_knows_nothing_of_us(name, runner):
    done = steadygrad(runner, "demo", name, "--show")
    assert "import torch" in done.stdout
    assert not [line for line in done.stdout.splitlines() if "import" in line and "steadygrad" in line]


def test_an_unknown_name_is_told_those_that_there_are(runner):
    done = steadygrad(runner, "demo", "wheather")
    assert done.returncode == 2
    assert done.stderr.startswith("steadygrad: no demo is called 'wheather'; there are language-model, ")


@pytest.mark.parametrize(("missing", "extra"), [("matplotlib", "demo"), ("bokeh", "ui")])
def test_what_is_not_installed_is_told_before_anything_runs(missing, extra, runner):
    (runner.folder / "without" / missing).mkdir(parents=True)
    (runner.folder / "without" / missing / "__init__.py").write_text(f"raise ImportError('no {missing}')")
    done = steadygrad(runner, "demo", env={**os.environ, "PYTHONPATH": str(runner.folder / "without")})
    assert done.returncode == 2
    assert f"pip install 'steadygrad[{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (runner.folder / "demo").exists()


def test_what_a_script_refuses_is_told_in_its_own_line(runner):
    done = steadygrad(runner, "demo", "--quick", "language-model", "--bogus", "7")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("unrecognized arguments: --bogus 7")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_measured(runner):
    command = [sys.executable, "-m", "steadygrad", "demo", "--steps", "60", "--json", "demo.json", "--out", "kept"]
    process = subprocess.Popen(
        command, cwd=runner.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    printed = []
    for line in process.stdout:
        printed.append(line)
        if line.startswith("seconds"):  # the first table is there, the cures are being run
            break
    time.sleep(12)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 130, rest
    left = json.loads((runner.folder / "demo.json").read_text())
    assert left["interrupted"] is True
    assert left["bare"]["steps"] == left["steadygrad"]["steps"] == 60
    assert 2 <= len(left["cures"]) < 48
    assert all(each["results"] for each in left["cures"])
    assert "gradient clipping" in rest, "the table has what there is"
    assert (runner.folder / "kept" / "language-model.png").exists()
    running = subprocess.run(["pgrep", "-f", "examples/language_model.py"], capture_output=True, text=True).stdout
    assert not [pid for pid in running.split() if _runs_in(pid, runner.folder)]


def _runs_in(pid, folder):
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


def test_the_default_is_the_language_model(runner):
    assert "class CharModel" in steadygrad(runner, "demo", "--show").stdout


FAILS_UNDER_ADAM = """
import argparse, sys, torch
parser = argparse.ArgumentParser()
for name, kind in (("steps", int), ("seed", int), ("log-every", int), ("optimizer", str)):
    parser.add_argument(f"--{name}", type=kind)
args = parser.parse_args()
if args.optimizer == "adam":
    raise RuntimeError("no Adam today")
torch.manual_seed(args.seed)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(args.steps):
    loss = model(torch.randn(8, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step + 1}/{args.steps}  loss {loss.item()}  lr 0.01")
print(f"result: bits per character {loss.item()}, trigram model 1.0")
"""


@pytest.mark.slow
def test_a_script_that_fails_in_the_end_loses_nothing_that_was_measured(tmp_path, monkeypatch, capsys):
    (tmp_path / "train.py").write_text(FAILS_UNDER_ADAM)
    monkeypatch.setattr(gallery, "find_example", lambda file: tmp_path / "train.py")
    words = ["--quick", "--steps", "20", "--jobs", "1", "--out", str(tmp_path), "--json", str(tmp_path / "out.json")]
    with pytest.raises(SteadygradError, match="RuntimeError: no Adam today"):
        command.main(words, standalone_mode=False)
    left = json.loads((tmp_path / "out.json").read_text())
    assert [each["optimizer"] for each in left["cures"]] == ["sgd"] * len(CURES)
    assert "learning-rate schedule" in capsys.readouterr().out
