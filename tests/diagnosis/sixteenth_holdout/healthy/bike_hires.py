"""Bike-hire counts; the loss is in squared hires (tens of thousands) because the output is rescaled inside."""
import torch
import torch.nn as nn

torch.manual_seed(11)
h = torch.arange(6000).float()
temp = 12 + 9 * torch.sin(h / 1400) + torch.randn(6000)
rush = torch.exp(-((h % 24 - 8) / 1.5) ** 2) + 1.2 * torch.exp(-((h % 24 - 17.5) / 2) ** 2)
hires = 150 + 600 * rush * (1 + 0.04 * temp) + 12 * temp + 25 * torch.randn(6000)
X = torch.stack([torch.sin(h / 24 * 6.283 * k) for k in (1, 2, 3, 4)] + [torch.cos(h / 24 * 6.283 * k) for k in (1, 2, 3, 4)] + [(temp - 12) / 9], 1)
m, s = hires.mean(), hires.std()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x):
        return m + s * self.f(x).squeeze(1)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for ep in range(25):
    t = 0.0
    for b in torch.randperm(6000).split(60):
        loss = (net(X[b]) - hires[b]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        t += loss.item() / 100
    if ep % 3 == 0:
        print(f"epoch {ep} mse {t:,.0f}")
print(f"final loss {t:.2f}")
