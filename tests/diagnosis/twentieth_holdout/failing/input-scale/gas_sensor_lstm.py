"""Detects gas leaks from raw 16-bit converter counts of six sensors with a bidirectional LSTM.

Cause: input-scale
Fails: the loss stays close to log 2, the gates do not move
"""
import torch
from torch import nn

torch.manual_seed(17)


def simulate(n, T=40):
    leak = (torch.rand(n) < 0.5).float()
    offset = 20000 + 6000 * torch.randn(n, 1, 6)
    drift = 40 * torch.randn(n, T, 6).cumsum(1)
    start = torch.randint(5, 25, (n, 1, 1))
    t = torch.arange(T).view(1, T, 1)
    resp = torch.tensor([1.0, 0.7, 0.4, -0.3, 0.1, 0.0]) * 1800 * (1 - torch.exp(-(t - start).clamp(min=0) / 6.0))
    x = offset + drift + leak.view(-1, 1, 1) * resp + 250 * torch.randn(n, T, 6)
    return x.round().clamp(0, 65535), leak


class LeakDetector(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 32, bidirectional=True, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(64, 1)

    def forward(self, x):
        x = x - 0.0  # fix: x = (x - x[:, :5].mean(1, keepdim=True)) / 1000.0
        out, _ = self.lstm(x)
        return self.fc(self.drop(out.mean(1))).squeeze(1)


class Trainer:
    def __init__(self, model, data, valid):
        self.model, self.data, self.valid = model, data, valid
        self.opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
        self.loss = nn.BCEWithLogitsLoss()

    def fit(self, steps):
        x, y = self.data
        self.model.train()
        for k in range(steps):
            i = torch.randint(0, len(x), (48,))
            loss = self.loss(self.model(x[i]), y[i])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            if k % 50 == 0:
                print(k, loss.item())

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        return self.loss(self.model(self.valid[0]), self.valid[1]).item()


trainer = Trainer(LeakDetector(), simulate(3000), simulate(500))
trainer.fit(400)
print("final loss", trainer.evaluate())
