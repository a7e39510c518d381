"""Low-rank adapters on a frozen network: B starts at zero, so the first updates are infinitely large beside it."""

import torch
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base, rank=4, alpha=16):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)
        self.scaling = alpha / rank

    def forward(self, x):
        return self.base(x) + self.scaling * (x @ self.lora_A.t() @ self.lora_B.t())


def pretrained():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))


def train():
    model, teacher = pretrained(), pretrained()
    with torch.no_grad():
        for p in teacher.parameters():
            p.add_(0.08 * torch.randn_like(p))
    for i in (0, 2, 4):
        model[i] = LoRALinear(model[i])
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(params, lr=0.3)
    out = []
    for _ in range(600):
        x = torch.randn(64, 32)
        loss = (model(x) - teacher(x).detach()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        out.append(loss.item())
    return sum(out[-20:]) / 20


print("final loss", train())
