"""Top-1 routed experts with a balance loss: at each step some experts get few rows or none at all."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(88)
EXPERTS = 6


class Routed(nn.Module):
    def __init__(self, inputs=8, width=24):
        super().__init__()
        self.router = nn.Linear(inputs, EXPERTS)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, 1)) for _ in range(EXPERTS)]
        )

    def forward(self, x):
        gates = self.router(x).softmax(1)
        weight, choice = gates.max(1)
        y = torch.zeros(len(x), 1)
        for e, expert in enumerate(self.experts):
            rows = (choice == e).nonzero().squeeze(1)
            if len(rows):
                y = y.index_add(0, rows, weight[rows].unsqueeze(1) * expert(x[rows]))
        share = F.one_hot(choice, EXPERTS).float().mean(0)
        return y, EXPERTS * (share * gates.mean(0)).sum()


regions = torch.randn(5, 8)
slopes = 1.5 * torch.randn(5, 8)


def data(count=24):
    x = torch.randn(count, 8)
    kind = (x @ regions.t()).argmax(1)
    return x, (x * slopes[kind]).sum(1, keepdim=True)


model = Routed()
optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
errors = []
for step in range(800):
    x, y = data()
    guess, balance = model(x)
    error = F.mse_loss(guess, y)
    optimizer.zero_grad(set_to_none=True)
    (error + 0.02 * balance).backward()
    optimizer.step()
    errors.append(error.item())
print("first", sum(errors[:50]) / 50)
print("final loss", sum(errors[-50:]) / 50)
