"""A diffusion model of a swiss roll: noise prediction at random times, so the loss is noisy and never goes to zero."""

import copy
import math

import torch
from torch import nn

T = 100


def swiss_roll(count):
    t = 1.5 * math.pi * (1 + 2 * torch.rand(count))
    return torch.stack([t * t.cos(), t * t.sin()], 1) / 8 + 0.02 * torch.randn(count, 2)


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, 4, 16)))
        self.enter = nn.Linear(2 + 32, width)
        self.blocks = nn.ModuleList([nn.Linear(width + 32, width) for _ in range(3)])
        self.leave = nn.Linear(width, 2)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x, t):
        phase = t[:, None].float() / T * self.frequencies
        time = torch.cat([phase.sin(), phase.cos()], 1)
        h = nn.functional.silu(self.enter(torch.cat([x, time], 1)))
        for block in self.blocks:
            h = h + nn.functional.silu(block(torch.cat([h, time], 1)))
        return self.leave(h)


def main():
    torch.manual_seed(2020)
    beta = torch.linspace(1e-3, 0.1, T)
    alpha_bar = torch.cumprod(1 - beta, 0)
    model = Denoiser()
    shadow = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0)
    losses = []
    for step in range(500):
        x0 = swiss_roll(128)
        t = torch.randint(0, T, (128,))
        noise = torch.randn_like(x0)
        a = alpha_bar[t].unsqueeze(1)
        xt = a.sqrt() * x0 + (1 - a).sqrt() * noise
        loss = nn.functional.mse_loss(model(xt, t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(shadow.parameters(), model.parameters()):
                slow.lerp_(fast, 0.01)
        losses.append(loss.item())
        if step % 100 == 0:
            print(step, loss.item())
    print("final loss", sum(losses[-20:]) / 20)


main()
