"""A Cox proportional hazards net on censored survival times, first with Adam and then refined by LBFGS with a closure."""
import torch
from torch import nn

torch.manual_seed(16)
n = 400
X = torch.randn(n, 6)
risk = 1.2 * X[:, 0] - 0.9 * X[:, 1] + 0.8 * X[:, 2] * X[:, 3]
T = -torch.log(torch.rand(n)) * torch.exp(-risk)
C = -torch.log(torch.rand(n)) * 2.0
time, event = torch.minimum(T, C), (T <= C).float()
order = time.argsort(descending=True)
X, event = X[order], event[order]
net = nn.Sequential(nn.Linear(6, 32), nn.Softplus(), nn.Linear(32, 1, bias=False))


def cox():
    h = net(X).squeeze(1)
    return -((h - torch.logcumsumexp(h, 0)) * event).sum() / event.sum() + 1e-3 * sum(p.square().sum() for p in net.parameters())


log = []
adam = torch.optim.Adam(net.parameters(), lr=5e-3)
for _ in range(100):
    adam.zero_grad()
    loss = cox()
    loss.backward()
    adam.step()
    log.append(loss.item())
lbfgs = torch.optim.LBFGS(net.parameters(), lr=0.8, max_iter=4, line_search_fn="strong_wolfe")


def closure():
    lbfgs.zero_grad()
    loss = cox()
    loss.backward()
    return loss


for _ in range(80):
    log.append(lbfgs.step(closure).item())
print("first loss", log[0])
print("final loss", sum(log[-10:]) / 10)
