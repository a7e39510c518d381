"""`steadygrad diagnose` and `explain`: what people read of a cause."""

import json
import subprocess
import sys

import numpy as np
import pytest

import steadygrad as sg
from steadygrad.diagnosis import cards

NAN = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(60):
    x = torch.randn(8, 4)
    if step == {at}:
        x[2, 1] = float("nan")
    loss = (model(x) - x.nan_to_num().sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def steadygrad(runner, *arguments):
    return runner.bare(sys.executable, "-m", "steadygrad", *arguments)


@pytest.mark.smoke
def test_a_cause_with_evidence_the_line_and_what_to_change(runner):
    path = runner.write(NAN.format(at=40))
    ran = runner.watched("--quiet", "train.py")
    told = steadygrad(runner, "diagnose", str(ran.folder), "--json", "found.json")
    assert told.returncode == 0, told.stderr
    text = " ".join(told.stdout.split())
    assert "1. nonfinite-data" in text
    assert "NaN or Inf in inputs or targets." in text
    assert "non-finite numbers, batch 1 limit: 0" in text
    assert "drop-or-impute-nonfinite-samples" in text
    assert "keep = x.flatten(1).isfinite()" in text
    found = json.loads((runner.folder / "found.json").read_text())
    first = found["findings"][0]
    line = (
        path.read_text().splitlines().index(next(each for each in path.read_text().splitlines() if "model(x)" in each))
    )
    assert first["line"] == f"{path}:{line + 1}"
    assert first["measured"][0]["value"] == 1.0
    assert first["step"] == found["first_alarm_step"] == 40
    # What the summary of the run says is the same.
    assert ran.summary["findings"][0] == first
    # And a program can read it from a pipe, while people are told beside it.
    piped = steadygrad(runner, "diagnose", str(ran.folder), "--json", "-")
    assert json.loads(piped.stdout) == found
    assert "1. nonfinite-data" in piped.stderr
    assert not (runner.folder / "-").exists()


def test_a_run_without_an_incident_says_so(runner):
    runner.write(NAN.format(at=-1))
    ran = runner.watched("--quiet", "train.py")
    told = steadygrad(runner, "diagnose", str(ran.folder))
    assert (told.returncode, "there was no incident" in told.stdout) == (0, True)


def test_what_is_no_run_is_one_line(runner):
    told = steadygrad(runner, "diagnose", "nowhere")
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "nowhere" in told.stderr


def test_the_batch_is_kept_only_when_asked(runner):
    runner.write(NAN.format(at=40))
    ran = runner.watched("--quiet", "train.py")
    assert not list(ran.folder.glob("*.npz"))
    seen = sg.open_run(ran.folder).main.observations()
    digests = [each.detail["batch"] for each in seen if each.kind == "examination"]
    assert digests[0][0]["shape"] == [8, 4]
    assert len(digests[0][0]["sha256"]) == 16
    ran = runner.watched("--quiet", "--keep-batch", "train.py")
    with np.load(ran.folder / "batch-step40.npz", allow_pickle=False) as kept:
        rows = next(kept[name] for name in kept.files if kept[name].shape == (8, 4))
    assert np.argwhere(np.isnan(rows)).tolist() == [[2, 1]]


def test_the_samples_with_the_largest_loss_are_named(runner):
    outlier = NAN.format(at=-1).replace("loss = (", "if step == 40: x[5] *= 1e4\n    loss = (")
    runner.write(outlier)
    ran = runner.watched("--quiet", "train.py")
    seen = [
        each.detail["samples"] for each in sg.open_run(ran.folder).main.observations() if each.kind == "examination"
    ]
    assert any(each and each["samples"][0] == 5 and each["losses"][0] > 1e3 * each["median"] for each in seen)
    assert ran.summary["findings"][0]["cause"] == "outlier-batch"


@pytest.mark.parametrize("card", cards(), ids=lambda card: card.cause)
def test_every_cause_is_explained(card):
    code = f"from steadygrad.cli import main; import sys; sys.argv = ['steadygrad', 'explain', {card.cause!r}]; main()"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith(card.cause)
    for name in card.remedies:
        assert name in told


def test_all_causes_are_listed_and_a_wrong_one_is_corrected(runner):
    told = steadygrad(runner, "explain").stdout
    assert all(card.cause in told for card in cards())
    told = steadygrad(runner, "explain", "recurent-gain")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "did you mean recurrent-gain?" in told.stderr
