"""A GRU autoencodes short melodies; SGD whose velocity is rescaled whenever the learning rate changes.

Cause: corrupt-state
Fails: the loss is not finite from step 121 on
First bad: step 120, optimizer, div
"""

import torch
from torch import nn


class CorrectedSGD(torch.optim.Optimizer):
    """The velocity holds lr * gradient, so it follows the schedule (Goyal et al., 2017, remark 2)."""

    def __init__(self, params, lr, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.previous = torch.tensor(lr)

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            lr = torch.tensor(group["lr"])
            ratio = lr / self.previous  # fix: ratio = lr / self.previous if self.previous > 0 else torch.zeros(())
            for p in group["params"]:
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                velocity.mul_(group["momentum"] * ratio).add_(p.grad * lr)
                p.sub_(velocity)
            self.previous = lr


class MelodyCoder(nn.Module):
    def __init__(self, notes=6, hidden=48):
        super().__init__()
        self.notes = nn.Embedding(notes, 12)
        self.reader = nn.GRU(12, hidden, batch_first=True)
        self.writer = nn.GRU(12, hidden, batch_first=True)
        self.out = nn.Linear(hidden, notes)

    def forward(self, melody):
        _, code = self.reader(self.notes(melody))
        shifted = torch.cat([torch.zeros_like(melody[:, :1]), melody[:, :-1]], 1)
        return self.out(self.writer(self.notes(shifted), code)[0])


def melodies(count=32, length=8):
    start = torch.randint(0, 6, (count, 1))
    stride = torch.randint(1, 4, (count, 1))
    return (start + stride * torch.arange(length)) % 6


def rate(step, cycle=120, peak=0.3):
    """Three cycles of linear decay."""
    return peak * (1 - (step % cycle) / (cycle - 1))


torch.manual_seed(12)
model = MelodyCoder()
optimizer = CorrectedSGD(model.parameters(), lr=rate(0))
losses = []
for step in range(360):
    for group in optimizer.param_groups:
        group["lr"] = rate(step)
    melody = melodies()
    loss = nn.functional.cross_entropy(model(melody).flatten(0, 1), melody.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print(step, round(rate(step), 4), loss.item())
print("final loss", sum(losses[-10:]) / 10)
