"""Transfers a denoiser's encoder to fault classification: frozen first, then all layers with two learning rates."""
import torch
from torch import nn

torch.manual_seed(11)
t = torch.arange(64).float()


def signals(n):
    k = torch.randint(0, 4, (n,))
    f = 0.2 + 0.12 * k.view(-1, 1) + 0.02 * torch.randn(n, 1)
    return (torch.sin(f * t + 6.28 * torch.rand(n, 1)) + 0.3 * torch.randn(n, 64)).unsqueeze(1), k


enc = nn.Sequential(nn.Conv1d(1, 16, 7, padding=3), nn.ReLU(), nn.Conv1d(16, 16, 7, padding=3), nn.ReLU())
dec = nn.Conv1d(16, 1, 5, padding=2)
pre = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=3e-3)
for i in range(150):
    x, _ = signals(32)
    loss = (dec(enc(x + 0.5 * torch.randn_like(x))) - x).pow(2).mean()
    pre.zero_grad()
    loss.backward()
    pre.step()
    if i % 50 == 0:
        print("pretrain", i, loss.item())

head = nn.Sequential(nn.AdaptiveMaxPool1d(4), nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
enc.requires_grad_(False)
opt = torch.optim.AdamW(head.parameters(), lr=2e-3)
for i in range(400):
    if i == 150:
        enc.requires_grad_(True)
        opt.add_param_group({"params": list(enc.parameters()), "lr": 1e-3})
    x, k = signals(32)
    loss = nn.functional.cross_entropy(head(enc(x)), k)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if i % 50 == 0:
        print("classify", i, loss.item())
with torch.no_grad():
    x, k = signals(500)
    print("final loss", nn.functional.cross_entropy(head(enc(x)), k).item())
