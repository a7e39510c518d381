"""Scripts in styles of their own, each run up to its first backward by a real process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

HEAD = "import torch, torch.nn.functional as F\nfrom torch import nn, Tensor\ntorch.manual_seed(0)\n"

STYLES = {
    "several roots": (
        """
encoder, decoder = nn.GRU(5, 16), nn.Linear(16, 3)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])
output, _ = encoder(torch.randn(12, 4, 5))
F.cross_entropy(decoder(output[-1]), torch.randint(3, (4,))).backward()
""",
        {"encoder", "decoder"},
    ),
    "keywords": (
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 1)
    def forward(self, *, features):
        return {"out": self.b(torch.tanh(self.a(features)))}
net = Net()
torch.optim.SGD(net.parameters(), 0.1)
F.mse_loss(net(features=torch.randn(9, 5))["out"], torch.randn(9, 1)).backward()
""",
        {"a", "b"},
    ),
    "compiled, mixed precision, scaled": (
        """
net = torch.compile(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)))
optimizer, scaler = torch.optim.AdamW(net.parameters()), torch.amp.GradScaler("cpu")
with torch.autocast("cpu", dtype=torch.bfloat16):
    loss = F.cross_entropy(net(torch.randn(9, 5)), torch.randint(3, (9,)))
scaler.scale(loss).backward()
""",
        {"0", "2"},
    ),
    "accumulated": (
        """
net = nn.Linear(5, 2)
optimizer = torch.optim.SGD(net.parameters(), 0.1)
with torch.no_grad():
    net(torch.randn(3, 5))
for part in torch.randn(4, 6, 5):
    (F.mse_loss(net(part), torch.zeros(6, 2)) / 4).backward()
optimizer.step()
""",
        {"weight"},
    ),
    "torch.autograd.backward": (
        """
net = nn.Linear(5, 2)
torch.autograd.backward([F.mse_loss(net(torch.randn(6, 5)), torch.zeros(6, 2))])
""",
        {"weight"},
    ),
    "no module": (
        """
w = torch.randn(5, 2, requires_grad=True)
optimizer = torch.optim.SGD([w], 0.1)
loss = (torch.randn(6, 5) @ w).square().mean()
loss.backward()
""",
        set(),
    ),
}


def checked(tmp_path: Path, code: str) -> tuple[dict, str]:
    script, out = tmp_path / "train.py", tmp_path / "out.json"
    script.write_text(HEAD + code + "\nopen('went_on', 'w')\n")
    command = [str(Path(sys.executable).with_name("steadygrad")), "check", "--json", str(out), str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    assert not (tmp_path / "went_on").exists()
    return json.loads(out.read_text()), done.stdout


@pytest.mark.parametrize("style", STYLES)
def test_styles(style, tmp_path):
    code, layers = STYLES[style]
    found, _ = checked(tmp_path, code)
    assert {each["name"] for each in found["layers"]} == layers
    assert found["findings"] == []


@pytest.mark.smoke
def test_what_a_script_hides_is_said(tmp_path):
    found, text = checked(tmp_path, STYLES["accumulated"][0])
    assert "give a factory" in found["skipped"]["the batch with each sample twice"]
    assert "not measured" in text


def test_a_summed_loss_is_seen_in_the_graph(tmp_path):
    code = (
        "net = nn.Linear(5, 2)\nF.mse_loss(net(torch.randn(64, 5)), torch.zeros(64, 2), reduction='sum').backward()\n"
    )
    found, _ = checked(tmp_path, code)
    assert [each["cause"] for each in found["findings"]] == ["loss-scale"]


def test_a_rate_that_is_far_too_high(tmp_path):
    code = STYLES["keywords"][0].replace("0.1)", "30.0)")
    found, _ = checked(tmp_path, code)
    assert [each["cause"] for each in found["findings"]] == ["learning-rate"]
