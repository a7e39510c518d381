"""Online learning, one sample per step, no normalisation layers; a very jagged curve."""
import torch
import torch.nn as nn

torch.manual_seed(10)
net = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01)
A = torch.randn(6)
ema, first = None, None
for i in range(24000):
    x = torch.randn(6)
    y = torch.sin(x @ A * 0.5) + 0.5 * x[0] + 0.2 * torch.randn(())
    l = (net(x)[0] - y) ** 2
    opt.zero_grad()
    l.backward()
    opt.step()
    ema = l.item() if ema is None else 0.998 * ema + 0.002 * l.item()
    if i % 2000 == 0:
        print(f"{i:6d} instant {l.item():8.4f} smooth {ema:.4f}")
print(f"final loss {ema:.4f}")
