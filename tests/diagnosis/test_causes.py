"""The family of causes: each has its card, its id, and says nothing of a run without an alarm."""

import inspect
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import steadygrad as sg
from steadygrad.diagnosis.causes import CAUSES

DESIGNED = (
    *("init-gain", "recurrent-gain", "learning-rate", "input-scale", "loss-scale", "outlier-batch", "nonfinite-data"),
    *("unsafe-op", "half-overflow", "attention-logits", "missing-zero-grad", "stale-second-moment", "weight-growth"),
    *("clip-before-unscale", "corrupt-state", "vanishing-depth", "vanishing-recurrent", "dead-units", "saturation"),
)


def test_every_cause_has_one_file_named_after_it():
    ids = [inspect.getmodule(cause).CAUSE for cause in CAUSES]
    assert sorted(ids) == sorted(DESIGNED)
    for cause, name in zip(CAUSES, ids, strict=True):
        assert inspect.getmodule(cause).__name__.endswith(name.replace("-", "_"))
        assert cause.__name__ == name.replace("-", "_")


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_every_cause_has_a_card(cause):
    card = inspect.getmodule(cause).__doc__
    first, *rest = card.strip().split("\n\n")
    assert first.endswith(".")
    assert "\n" not in first
    assert any(each.startswith("Seen in: ") for each in rest)
    assert re.search(r"^Reference: .+", rest[-1], re.M)


SCRIPT = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(60):
    x = torch.randn(8, 4)
    if step == 40:
        x[2, 1] = float("nan")
    loss = (model(x) - x.nan_to_num().sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_recording_is_diagnosed_without_torch_and_from_what_is_left_of_it(runner):
    runner.write(SCRIPT)
    ran = runner.watched("train.py")
    code = f"import sys; sys.modules['torch'] = None\nimport steadygrad as sg\nprint(sg.open_run({str(ran.folder)!r}).findings()[0].cause)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "nonfinite-data"
    recording = next(ran.folder.glob("rank*.db"))
    with sqlite3.connect(recording) as connection:
        connection.execute("DELETE FROM observations WHERE kind != 'symptoms'")
    connection.close()
    halved = sg.open_run(ran.folder).findings()
    assert halved
    assert all(0 < finding.confidence < 0.97 for finding in halved)
    with sqlite3.connect(recording) as connection:
        connection.execute("DROP TABLE observations")  # as a recording of an earlier version
    connection.close()
    assert sg.open_run(ran.folder).summary()["first_nonfinite"]["step"] == 40


def test_a_larger_batch_that_leaves_the_range_of_float16_is_no_outlier(runner):
    """Some tens of times larger than the first: float32 would not notice it."""
    path = Path(__file__).parent / "fourth_holdout" / "failing" / "half-overflow" / "factor_machine.py"
    runner.write(path.read_text().replace("range(900)", "range(80)"))
    ran = runner.watched("train.py")
    causes = [each["cause"] for each in ran.summary["findings"]]
    assert causes[:2] == ["half-overflow", "outlier-batch"]
