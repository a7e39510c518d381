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

TOO_FAST = (
    HEAD
    + """
optimizer = torch.optim.SGD(net.parameters(), lr=4.0)
for step in range(120):
    rows = torch.randint(0, 256, (32,))
    loss = nn.functional.mse_loss(net(X[rows]), Y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("final loss", loss.item())
"""
)

PILED_UP = (
    HEAD
    + """
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for step in range(120):
    rows = torch.randint(0, 256, (32,))
    loss = nn.functional.mse_loss(net(X[rows]), Y[rows])
    loss.backward()
    optimizer.step()
print("final loss", loss.item())
"""
)

SUMMED = (
    HEAD
    + """
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for step in range(120):
    rows = torch.randint(0, 256, (64,))
    loss = nn.functional.mse_loss(net(X[rows]), Y[rows], reduction="sum")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("final loss", loss.item())
"""
)

RAW_INPUTS = (
    HEAD
    + """
X = X * torch.tensor([1.0, 10.0, 1000.0, 1e4, 1.0, 300.0]) + torch.tensor([0.0, 50.0, 3e4, 1e5, 0.0, 0.0])
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
net[1] = nn.ReLU()
for step in range(200):
    rows = torch.randint(0, 256, (32,))
    loss = nn.functional.mse_loss(net(X[rows]), Y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("final loss", loss.item())
"""
)

SOUND = TOO_FAST.replace("lr=4.0", "lr=0.05")

RANDOM = TOO_FAST.replace("torch.manual_seed(0)", "torch.seed()")
"""Another one at every run."""

NO_TRAINING = """
import sys
if len(sys.argv) < 2:
    sys.exit("usage: train.py DATA")
"""
