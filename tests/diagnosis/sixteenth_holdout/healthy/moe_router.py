"""Mixture of experts with noisy top-1 routing, load-balance term and EMA weights."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)


class MoE(nn.Module):
    def __init__(self, d=6, n=4):
        super().__init__()
        self.gate = nn.Linear(d, n)
        self.ex = nn.ModuleList(nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, 1)) for _ in range(n))

    def forward(self, x):
        lo = self.gate(x)
        if self.training:
            lo = lo + 0.3 * torch.randn_like(lo)
        p = lo.softmax(-1)
        top = p.argmax(-1)
        out = torch.stack([e(x) for e in self.ex], 1)[torch.arange(len(x)), top, 0]
        bal = (F.one_hot(top, 4).float().mean(0) * p.mean(0)).sum() * 4
        return out * p[torch.arange(len(x)), top] * 2, bal


x = torch.randn(4000, 6)
y = torch.where(x[:, 0] > 0, torch.sin(2 * x[:, 1]), x[:, 2] * x[:, 3]) + (x[:, 4] > 0.5) * 2
net = MoE()
ema = {k: v.clone() for k, v in net.state_dict().items()}
opt = torch.optim.AdamW(net.parameters(), lr=6e-3)
sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 45)
for ep in range(45):
    net.train()
    for b in torch.randperm(4000).split(64):
        o, bal = net(x[b])
        loss = (o - y[b]).pow(2).mean() + 0.02 * bal
        opt.zero_grad()
        loss.backward()
        opt.step()
        for k, v in net.state_dict().items():
            ema[k].lerp_(v, 0.02)
    sch.step()
    if ep % 3 == 0:
        print(f"epoch {ep} last batch {loss.item():.4f}")
net.load_state_dict(ema)
net.eval()
print(f"final loss {(net(x)[0] - y).pow(2).mean().item():.5f}")
