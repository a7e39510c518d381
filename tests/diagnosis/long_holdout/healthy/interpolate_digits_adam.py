"""Overfit on purpose: MLP regression memorising 256 digit images with Adam, full batch, long past convergence (loss ~4e-7)."""
from sklearn.datasets import load_digits
import torch, torch.nn as nn

torch.manual_seed(6)
d = load_digits()
X = torch.tensor(d.data[:256] / 16., dtype=torch.float32)
Y = torch.nn.functional.one_hot(torch.tensor(d.target[:256]), 10).float()

net = nn.Sequential(nn.Linear(64, 128), nn.Tanh(), nn.Linear(128, 64), nn.Tanh(), nn.Linear(64, 10))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, .9998)
hist, spikes = [], 0
for it in range(20000):
    loss = ((net(X) - Y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step(); sched.step()
    hist.append(loss.item())
    if it > 100 and hist[-1] > 10 * hist[-50]: spikes += 1
    if it % 1000 == 0: print(it, "%.3e" % (sum(hist[-100:]) / len(hist[-100:])), "spiky steps so far", spikes)
print("final loss %.3e" % (sum(hist[-500:]) / 500))
