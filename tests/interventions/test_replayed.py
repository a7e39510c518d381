"""Weights that no module has: what a pass computes of them is changed as a model would be, before its first step."""

from pathlib import Path

import pytest
import torch

import steadygrad as sg
from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.replayed import Replayed

WIDTH = 12
BLIND = Path(__file__).parents[1] / "diagnosis" / "twenty_second_holdout" / "failing"


def attention(gain):
    """Raw tensors, and a function of them: the logits of one query lie `gain` times as far apart as they should."""
    torch.manual_seed(0)
    weights = {name: (torch.randn(WIDTH, WIDTH) / WIDTH**0.5).requires_grad_() for name in ("wq", "wk", "wv", "wo")}

    def looked(x):
        logits = gain * (x @ weights["wq"]) @ (x @ weights["wk"]).mT / WIDTH**0.5
        return logits.softmax(-1), logits

    def out(x):
        return looked(x)[0] @ (x @ weights["wv"]) @ weights["wo"]

    return weights, looked, out


@pytest.mark.parametrize("prefix", ["", "layers[0].attention."])
def test_queries_and_keys_of_no_module_are_scaled(prefix):
    weights, looked, out = attention(gain=200.0)
    x, optimizer = torch.randn(8, 10, WIDTH), torch.optim.Adam(weights.values(), lr=1e-3)
    values = weights["wv"].detach().clone()
    named = {f"{prefix}{name}": each for name, each in weights.items()}
    applied = Applied([intervention_for("rescale-initialisation", f"{prefix}wq")], steps=False)
    with applied:
        applied.adopt(optimizer, Replayed(named, lambda: out(x).square().mean()))
        assert applied.times
        out(x).square().mean().backward()  # the script's pass, after which they are what they are to be
        applied.before_step(optimizer)
        applied.after_step(optimizer)
        spread = looked(x)[1].std(-1).median()
    assert spread < 3.0
    torch.testing.assert_close(weights["wv"].detach(), values)


@pytest.mark.slow
def test_a_training_of_raw_tensors_is_repaired(runner):
    """By somebody who knew nothing of this program: attention whose logits are multiplied by what they should be
    divided by."""
    runner.write((BLIND / "attention-logits" / "recall_attention.py").read_text())
    ran = runner.watched("--mode", "repair", "train.py")
    actions = sg.open_run(ran.folder).main.actions()
    assert [each.detail["remedy"] for each in actions if each.action == "repair-held"] == ["rescale-initialisation"]
