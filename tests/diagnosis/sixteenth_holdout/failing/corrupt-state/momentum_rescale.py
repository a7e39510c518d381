"""Continues a run on another box: momentum buffers are taken over from the old trainer.

Cause: corrupt-state
Fails: the old trainer kept its buffers multiplied by the loss scale 4096; they are loaded as they
are, and the first steps after the hand-over throw the weights away.
"""
import torch
import torch.nn as nn

torch.manual_seed(66)
SCALE = 4096.0


class LegacySGD:
    """keeps velocity in scaled units, as the old code did"""

    def __init__(self, ps, lr, mu=0.9):
        self.ps, self.lr, self.mu = list(ps), lr, mu
        self.vel = [torch.zeros_like(p) for p in self.ps]

    @torch.no_grad()
    def step(self):
        for p, v in zip(self.ps, self.vel):
            v.mul_(self.mu).add_(p.grad)
            p.sub_(v, alpha=self.lr / SCALE)
            p.grad = None


def series(n):
    t = torch.arange(n).float()
    return torch.sin(t / 7) + 0.5 * torch.sin(t / 3.1 + 1) + 0.05 * torch.randn(n)


z = series(3000)
win = z.unfold(0, 33, 1)
model = nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


def loss_on(b):
    return (model(win[b, :32]).squeeze(1) - win[b, 32]).pow(2).mean()


old = LegacySGD(model.parameters(), 0.02)
for step in range(1500):
    l = loss_on(torch.randint(0, len(win), (64,)))
    (l * SCALE).backward()
    old.step()
    if step % 250 == 0:
        print("old trainer", step, l.item())

new = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for p, v in zip(model.parameters(), old.vel):
    new.state[p]["momentum_buffer"] = v.clone()  # fix: new.state[p]["momentum_buffer"] = v / SCALE
vals = []
for step in range(2000):
    l = loss_on(torch.randint(0, len(win), (64,)))
    new.zero_grad()
    l.backward()
    new.step()
    vals.append(l.item())
    if step % 250 == 0:
        print("new trainer", step, l.item())
print("final loss", sum(vals[-50:]) / 50)
