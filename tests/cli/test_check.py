"""`steadygrad check` as a user runs it: real processes, real scripts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

FACTORIES = """
import torch
from torch import nn

def sound():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    return model, (torch.randn(16, 8), torch.randint(3, (16,))), nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.1)

def raw():
    model, (x, y), loss_fn, optimizer = sound()
    return model, (x * 3e4, y), loss_fn, optimizer

def wrong():
    return "model"

def broken():
    raise RuntimeError("no such data set")

class Experiments:
    make = staticmethod(sound)

number = 3
"""

SCRIPT = """
import sys
from pathlib import Path
import torch
from torch import nn

class Forecaster(nn.Module):
    def __init__(self, gain):
        super().__init__()
        self.rnn, self.head = nn.RNN(2, 32, batch_first=True), nn.Linear(32, 1)
        nn.init.normal_(self.rnn.weight_hh_l0, std=gain / 32**0.5)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

torch.manual_seed(0)
assert sys.argv[1:] == ["--gain", sys.argv[2], "--quiet"], sys.argv
model = Forecaster(float(sys.argv[2]))
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
print("training")
try:
    for step in range(100):
        x = torch.randn(16, 40, 2)
        loss = nn.functional.mse_loss(model(x).squeeze(1), x[:, :, 0].mean(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        Path("stepped").touch()
finally:
    Path("saved").touch()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("check")
    (path / "experiments.py").write_text(FACTORIES)
    (path / "train.py").write_text(SCRIPT)
    return path


def check(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("steadygrad")), "check", *args]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_sound_factory(folder):
    done = check(folder, "experiments:sound")
    assert (done.returncode, done.stderr) == (0, "")
    assert "steadygrad: sound" in done.stdout
    assert "sharpness over its limit" in done.stdout
    assert "signal in" in done.stdout


@pytest.mark.smoke
def test_a_finding_is_status_1_and_stands_in_the_json(folder):
    done = check(folder, "experiments.py:raw", "--json", "out.json")
    assert done.returncode == 1
    assert "input-scale" in done.stdout
    found = json.loads((folder / "out.json").read_text())
    assert (found["schema"], found["verdict"]) == ("steadygrad.check/1", "findings")
    assert found["findings"][0]["cause"] == "input-scale"
    assert found["findings"][0]["where"] == "inputs[0]"
    assert {each["name"] for each in found["layers"]} == {"0", "2"}


def test_findings_only(folder):
    done = check(folder, "--quiet", "experiments:Experiments.make")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1


def test_a_script_is_ended_at_its_first_backward_with_its_own_arguments(folder):
    done = check(folder, "--quiet", "train.py", "--gain", "3", "--quiet")
    assert done.returncode == 1, done.stderr
    assert "recurrent-gain" in done.stdout
    assert "training" in done.stdout
    assert not (folder / "stepped").exists()
    assert not (folder / "saved").exists()


def test_the_same_script_with_sound_weights(folder):
    done = check(folder, "train.py", "--gain", "0.9", "--quiet")
    assert done.returncode == 0, done.stdout
    assert "rnn l0" in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "nothing to check"),
        (("nothing.py",), "no such script: nothing.py"),
        (("nothing:make",), "no such module: nothing"),
        (("nothing.py:make",), "no such file: nothing.py"),
        (("experiments:nothing",), "experiments has no function nothing; it has"),
        (("experiments:number",), "no function number"),
        (("experiments:wrong",), "expected (model, batch, loss_fn)"),
        (("--json", "no/such/folder.json", "experiments:sound"), "there is no folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(folder, args, words):
    done = check(folder, *args)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_a_factory_that_fails_shows_its_own_error(folder):
    done = check(folder, "experiments:broken")
    assert done.returncode == 2
    assert "RuntimeError: no such data set" in done.stderr
    assert done.stderr.strip().endswith("nothing was measured")


def test_a_script_that_never_trains(folder):
    (folder / "idle.py").write_text("print('hello')\n")
    done = check(folder, "idle.py")
    assert done.returncode == 2
    assert "before its first backward: nothing was measured" in done.stderr
