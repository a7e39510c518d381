"""Poisson regression with a log link whose start is far off: the first gradients are in the thousands and clipped, then all is calm."""

import torch
import torch.nn as nn

torch.manual_seed(75)
w = torch.randn(8) * 0.3
net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
nn.init.constant_(net[2].bias, 7.0)
opt = torch.optim.Adam(net.parameters(), lr=3e-2)
losses = []
for step in range(450):
    x = torch.randn(96, 8)
    count = torch.poisson(torch.exp(x @ w + 1.0))
    log_rate = net(x).squeeze(1)
    loss = nn.functional.poisson_nll_loss(log_rate, count, log_input=True)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
