"""One training after the other in a process, each with an optimizer of its own: folds, stages, fine-tuning."""

import sys

import pytest

import steadygrad as sg

SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)
for fold in range(3):
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(30):
        x = torch.randn(16, 4)
        optimizer.zero_grad()
        (model(x) - x[:, :1]).square().mean().backward()
        optimizer.step()
    del model, optimizer
"""


@pytest.mark.parametrize("mode", ["observe", "protect"])
def test_all_of_them_are_in_one_recording(mode, runner):
    script = runner.write(SCRIPT)
    done = runner.bare(sys.executable, "-m", "steadygrad", "run", "--mode", mode, "--out", "out", str(script))
    assert done.returncode == 0, done.stderr
    (folder,) = (runner.folder / "out").iterdir()
    run = sg.open_run(folder)
    assert len(list(folder.glob("*.db"))) == 1
    assert run.main.step_counts() == {0: 30, 1: 30, 2: 30}
    assert run.verdict == "healthy"


@pytest.mark.parametrize(
    "first", ["from steadygrad import clip", "from steadygrad.penalty import l2", "import steadygrad as sg; sg.init"]
)
def test_a_script_that_loads_torch_through_a_part_of_ours_is_watched_like_any_other(first, runner):
    script = runner.write(f"{first}\n{SCRIPT}")
    done = runner.bare(sys.executable, "-m", "steadygrad", "run", "--out", "out", str(script))
    (folder,) = (runner.folder / "out").iterdir()
    run = sg.open_run(folder)
    assert run.verdict == "healthy", done.stderr
    assert sum(run.main.step_counts().values()) == 90
