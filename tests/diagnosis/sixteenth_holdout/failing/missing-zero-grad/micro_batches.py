"""Micro-batched training of an image-tone regressor (8 micro-batches per update).

Cause: missing-zero-grad
Fails: the gradients of all earlier updates are kept, so the steps swing ever harder
and the loss diverges.
"""
import torch
import torch.nn as nn

torch.manual_seed(6)


class Trainer:
    def __init__(self, model, lr=0.05, accum=8):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=lr)
        self.accum = accum
        self.count = 0

    def update(self, x, y):
        loss = nn.functional.mse_loss(self.model(x), y)
        (loss / self.accum).backward()
        self.count += 1
        if self.count % self.accum == 0:
            nn.utils.clip_grad_value_(self.model.parameters(), 50.0)
            self.opt.step()
            self.model.zero_grad  # fix: self.model.zero_grad()
        return loss.item()


def curve(z):
    return torch.stack([z[:, 0] ** 2 - z[:, 1], torch.sin(3 * z[:, 2]) + z[:, 0] * z[:, 2]], 1)


data = torch.rand(4096, 3) * 2 - 1
lab = curve(data)
tr = Trainer(nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)), lr=0.15)
for epoch in range(40):
    ls = [tr.update(data[i], lab[i]) for i in torch.randperm(4096).split(16)]
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1}: {sum(ls) / len(ls):.5f}")
print("final loss", sum(ls) / len(ls))
