"""Regresses a two-dimensional wave field with a plain network of thirty ReLU layers (torch defaults).

Cause: vanishing-depth
Fails: the signal of the coordinates dies on the way through the plain stack; the loss stays at the field's variance
"""
import torch
from torch import nn
from torch.func import functional_call, grad_and_value

torch.manual_seed(0)


class Stack(nn.Module):
    def __init__(self, width=48, depth=30):
        super().__init__()
        self.first = nn.Linear(2, width)
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.last = nn.Linear(width, 1)

    def forward(self, xy):
        h = torch.relu(self.first(xy))
        for layer in self.layers:
            h = torch.relu(layer(h))  # fix: h = h + 0.2 * torch.relu(layer(h))
        return self.last(h).squeeze(-1)


def field(xy):
    return torch.sin(3 * xy[:, 0]) * torch.cos(2 * xy[:, 1])


net = Stack()
params = {k: v.detach() for k, v in net.named_parameters()}


def objective(params, xy):
    return (functional_call(net, params, (xy,)) - field(xy)).square().mean()


step_fn = grad_and_value(objective)
mom = {k: torch.zeros_like(v) for k, v in params.items()}
avg = None
for it in range(500):
    xy = torch.rand(128, 2) * 2 - 1
    g, value = step_fn(params, xy)
    mom = {k: 0.9 * mom[k] + g[k] for k in g}
    params = {k: params[k] - 0.01 * mom[k] for k in params}
    avg = value.item() if avg is None else 0.97 * avg + 0.03 * value.item()
    if it % 100 == 0:
        print(it, value.item())
print("final loss", avg)
