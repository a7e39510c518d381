"""Remedies as edits of a script: what a person would write, and a script that still runs."""

import ast
from pathlib import Path

import pytest

from steadygrad.remedies import REMEDIES
from steadygrad.rescue.change import change
from steadygrad.rescue.edits import EDITS, Place
from steadygrad.trials import Candidate

SCRIPT = """from __future__ import annotations
import torch
from torch import nn
import torch.nn.functional as F

model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
for step in range(3):
    x = torch.ones(4, 2)
    loss = F.mse_loss(model(x), x[:, :1], reduction="sum")
    loss.backward()
    optimizer.step()
"""


def lines(path):
    return {"optimizer": f"{path}:7", "step": f"{path}:12", "loss": f"{path}:10"}


def made(tmp_path, candidate, text=SCRIPT):
    path = tmp_path / "train.py"
    path.write_text(text)
    return change(candidate, None, lines(path), tmp_path)


@pytest.mark.parametrize(
    ("candidate", "old", "new"),
    [
        (Candidate("lower-learning-rate", options={"factor": 0.01}), "lr=0.5", "lr=0.005"),
        (Candidate("zero-grad-before-backward"), None, "    optimizer.zero_grad()"),
        (Candidate("mean-reduction"), 'reduction="sum"', 'reduction="mean"'),
        (Candidate("divide-loss-by-accumulation-steps", options={"passes": 8}), "loss.backward()", "(loss / 8).backward()"),
        (Candidate("raise-epsilon"), "momentum=0.9)", "momentum=0.9, eps=1e-4)"),
        (Candidate("leaky-relu"), "nn.ReLU()", "nn.LeakyReLU(0.01)"),
        (Candidate("orthogonal-recurrent-init"), None, "sg.init.orthogonal_recurrent_(model, nearest=True)"),
        (Candidate("stable-adamw"), None, "sg.clip.attach(sg.clip.ClipByUpdateRMS(), optimizer)"),
        (Candidate("clip-global-norm"), None, "clip_grad_norm_([p for group in optimizer.param_groups"),
    ],
    ids=lambda value: getattr(value, "remedy", None),
)  # fmt: skip
def test_the_diff_makes_the_change(tmp_path, candidate, old, new):
    made_change = made(tmp_path, candidate)
    assert made_change.diff is not None
    assert made_change.diff.startswith("--- a/train.py\n+++ b/train.py\n")
    added = [line[1:] for line in made_change.diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    taken = [line[1:] for line in made_change.diff.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert any(new in line for line in added), added
    assert old is None or any(old in line for line in taken), taken


@pytest.mark.parametrize("remedy", sorted(EDITS))
def test_an_edited_script_is_python_and_imports_what_it_uses(remedy):
    kind, edit = EDITS[remedy]
    number = {"optimizer": 7, "step": 12, "loss": 10}[kind]
    new = edit(Place(SCRIPT, number), {"factor": 0.1, "passes": 4})
    if new is None:  # this script has no scaler
        assert remedy == "unscale-before-clip"
        return
    ast.parse(new)
    assert ("sg." in new) == ("import steadygrad as sg" in new)
    assert new.startswith("from __future__"), "which has to stay the first"


def test_every_edit_belongs_to_a_remedy_that_is_tried():
    assert set(EDITS) <= {each.id for each in REMEDIES if each.outside}


def test_a_rate_that_is_computed_is_multiplied(tmp_path):
    found = made(
        tmp_path, Candidate("lower-learning-rate", options={"factor": 0.1}), SCRIPT.replace("lr=0.5", "lr=args.lr")
    )
    assert "lr=args.lr * 0.1" in found.diff
    found = made(
        tmp_path, Candidate("lower-learning-rate", options={"factor": 0.1}), SCRIPT.replace("lr=0.5", "lr=a + b")
    )
    assert "lr=(a + b) * 0.1" in found.diff


def test_a_statement_over_several_lines_is_found(tmp_path):
    text = SCRIPT.replace(
        "torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)",
        "torch.optim.SGD(\n    model.parameters(),\n    lr=0.5,\n    momentum=0.9,\n)",
    )
    assert "+    lr=0.05,\n" in made(tmp_path, Candidate("lower-learning-rate", options={"factor": 0.1}), text).diff


def test_unscaling_goes_before_the_clip(tmp_path):
    text = SCRIPT.replace("    loss.backward()\n    optimizer.step()\n", (
        "    scaler.scale(loss).backward()\n    nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
        "    scaler.step(optimizer)\n    scaler.update()\n"
    ))  # fmt: skip
    path = tmp_path / "train.py"
    path.write_text(text)
    found = change(Candidate("unscale-before-clip"), None, {"step": f"{path}:13"}, tmp_path)
    after = found.diff.split("+    scaler.unscale_(optimizer)\n")[1]
    assert after.startswith("     nn.utils.clip_grad_norm_")


@pytest.mark.parametrize("text", ["", "not python (", SCRIPT[:40]], ids=["empty", "broken", "short"])
def test_what_cannot_be_edited_gets_a_line_of_code(tmp_path, text):
    found = made(tmp_path, Candidate("lower-learning-rate", options={"factor": 0.1}), text)
    assert found.diff is None
    assert "lr=lr * 0.1" in found.code


def test_without_a_line_there_is_no_diff():
    found = change(Candidate("mean-reduction"), None, {}, Path.cwd())
    assert (found.diff, found.line) == (None, None)
    assert found.says
