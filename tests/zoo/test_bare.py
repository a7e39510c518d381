"""The recorder that says what a bare run has done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

BARE = Path(__file__).parents[2] / "zoo" / "bare.py"
HEAD = """
import torch
torch.manual_seed(0)
weight = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([weight], lr=0.0)
"""
LOOPS = {
    "backward": "weight.square().sum().backward()\n    optimizer.step()",
    "scaled": "scaler.scale(weight.square().sum()).backward()\n    scaler.step(optimizer)\n    scaler.update()",
    "autograd.grad": "weight.grad = torch.autograd.grad(weight.square().sum(), weight)[0]\n    optimizer.step()",
    "penalty": "(torch.autograd.grad(7 * weight.sum(), weight)[0].sum() * 0 + weight.square().sum()).backward()\n"
    "    optimizer.step()",
    "by-hand": "torch.autograd.grad(weight.square().sum(), weight)",
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_each_step_has_the_loss_of_the_script(loop, tmp_path):
    """Whatever makes its gradient: not times a scaler's factor, and not that of a penalty's own derivative."""
    script = tmp_path / "train.py"
    scaler = "scaler = torch.amp.GradScaler('cpu')\n"
    script.write_text(f"{HEAD}{scaler}for _ in range(3):\n    optimizer.zero_grad()\n    {loop}\n")
    subprocess.run([sys.executable, BARE, tmp_path / "out.json", script], check=True)
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [float(row["loss"]) for row in rows] == [3.0, 3.0, 3.0]
