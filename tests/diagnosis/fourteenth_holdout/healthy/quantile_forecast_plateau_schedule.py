"""Quantile forecasts of gusty wind by a dilated conv net; ReduceLROnPlateau watches a noisy validation loss and cuts the
rate several times; weight normalisation and agc-like clipping per unit."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

QUANTILES = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])


def pinball(forecast, truth):
    error = truth.unsqueeze(-1) - forecast
    return torch.maximum(QUANTILES * error, (QUANTILES - 1) * error).mean()


def gusts(hours):
    x = torch.zeros(hours)
    for h in range(2, hours):
        x[h] = 1.2 * x[h - 1] - 0.35 * x[h - 2] + 0.5 * torch.randn(()) * (1 + 2 * (torch.rand(()) < 0.05))
    return x


@torch.no_grad()
def adaptive_clip(model, ratio=0.1):
    for p in model.parameters():
        if p.dim() > 1:
            dims = tuple(range(1, p.dim()))
            limit = ratio * p.norm(dim=dims, keepdim=True).clamp(min=1e-3)
            norm = p.grad.norm(dim=dims, keepdim=True)
            p.grad.mul_((limit / (norm + 1e-9)).clamp(max=1.0))


torch.manual_seed(100)
windows = gusts(1600).unfold(0, 33, 1)
train, valid = windows[:1200], windows[1250:]
net = nn.Sequential(
    weight_norm(nn.Conv1d(1, 16, 3)), nn.ReLU(), weight_norm(nn.Conv1d(16, 16, 3, dilation=2)), nn.ReLU(),
    weight_norm(nn.Conv1d(16, 16, 3, dilation=4)), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 18, 5),
)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
losses = []
for epoch in range(10):
    net.train()
    for rows in torch.randperm(len(train)).split(40):
        loss = pinball(net(train[rows, None, :32]), train[rows, 32])
        optimizer.zero_grad()
        loss.backward()
        adaptive_clip(net)
        optimizer.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        held = pinball(net(valid[:, None, :32]), valid[:, 32]).item()
    scheduler.step(held)
    print(epoch, losses[0], sum(losses[-30:]) / 30, held, optimizer.param_groups[0]["lr"])
print("final loss", sum(losses[-30:]) / 30)
