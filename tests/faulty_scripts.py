"""Small training scripts with one fault each, written as users write them."""

HEAD = """
import sys
import torch
from torch import nn

torch.manual_seed(0)
X = torch.randn(256, 6)
Y = (X[:, :1] * 2 - X[:, 1:2]) + 0.1 * torch.randn(256, 1)
net = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 1))
"""

LOOP = """
optimizer = torch.optim.SGD(net.parameters(), {options})
for step in range(120):
    rows = torch.randint(0, 256, ({rows},))
    loss = nn.functional.mse_loss(net(X[rows]), Y[rows]{reduction})
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("final loss", loss.item())
"""


def script(options: str, rows: int = 32, reduction: str = "") -> str:
    return HEAD + LOOP.format(options=options, rows=rows, reduction=reduction)


TOO_FAST = script("lr=4.0")

PILED_UP = script("lr=0.05, momentum=0.9").replace("    optimizer.zero_grad()\n", "")

SUMMED = script("lr=0.1, momentum=0.9", rows=64, reduction=', reduction="sum"')

RAW_INPUTS = (
    script("lr=0.05, momentum=0.9")
    .replace("nn.Tanh()", "nn.ReLU()")
    .replace("range(120)", "range(200)")
    .replace(
        "\noptimizer",
        "\nX = X * torch.tensor([1.0, 10.0, 1000.0, 1e4, 1.0, 300.0])\nX[:, 1:4] += torch.tensor([50.0, 3e4, 1e5])\noptimizer",
    )
)

SOUND = TOO_FAST.replace("lr=4.0", "lr=0.05")

RANDOM = TOO_FAST.replace("torch.manual_seed(0)", "torch.seed()")
"""Another one at every run."""

NO_TRAINING = """
import sys
if len(sys.argv) < 2:
    sys.exit("usage: train.py DATA")
"""
