"""A very deep ReLU network with a gain that grows with depth: the first backward pass already overflows.

Cause: init-gain
Fails: the loss is not finite from step 0 on
First bad: step 0, forward, addmm
"""

import torch
from torch import nn


class DeepNet(nn.Module):
    def __init__(self, depth=120, width=64):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 5)
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))  # fix: x = x + torch.relu(layer(x)) / 120
        return self.head(x)


def main():
    torch.manual_seed(0)
    net = DeepNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    inputs, labels = torch.randn(256, 64), torch.randint(0, 5, (256,))
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(inputs), labels)
        loss.backward()
        optimizer.step()
    print("final loss", loss.item())


main()
