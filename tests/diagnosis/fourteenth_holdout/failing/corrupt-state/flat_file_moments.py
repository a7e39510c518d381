"""A GRU forecasts road traffic; half way the job is stored in a numpy archive and taken up again.

Cause: corrupt-state
Fails: good until it is taken up again at step 150; NaN from the next step on
"""

import math
import os
import tempfile

import numpy as np
import torch
from torch import nn


class TrafficNet(nn.Module):
    def __init__(self, sensors=6, hidden=32):
        super().__init__()
        self.rnn = nn.GRU(sensors, hidden, batch_first=True)
        self.head = nn.Linear(hidden, sensors)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


def road(hours=2400, sensors=6):
    t = torch.arange(float(hours)).unsqueeze(1)
    phase = torch.linspace(0, 1.5, sensors)
    day = torch.sin(2 * math.pi * t / 24 - phase) + 0.5 * torch.sin(4 * math.pi * t / 24 - 2 * phase)
    week = torch.where((t // 24) % 7 >= 5, 0.4, 1.0)
    return day * week + 0.1 * torch.randn(hours, sensors)


class Job:
    def __init__(self, data, lr=2e-3):
        self.model = TrafficNet()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr)
        self.data, self.step = data, 0
        self.losses = []

    def parameters(self):
        return self.optimizer.param_groups[0]["params"]

    def save(self, path):
        arrays = {"step": np.array(self.step)}
        for i, p in enumerate(self.parameters()):
            moments = self.optimizer.state[p]
            arrays[f"{i}"] = np.stack([p.detach().numpy(), moments["exp_avg"].numpy(), moments["exp_avg_sq"].numpy()])
        np.savez(path, **arrays)

    def load(self, path):
        arrays = np.load(path)
        self.step = int(arrays["step"])
        for i, p in enumerate(self.parameters()):
            value, square, mean = torch.from_numpy(arrays[f"{i}"]).clone()  # fix: value, mean, square = torch.from_numpy(arrays[f"{i}"]).clone()
            p.data.copy_(value)
            self.optimizer.state[p] = {"step": torch.tensor(float(self.step)), "exp_avg": mean.clone(), "exp_avg_sq": square.clone()}

    def run(self, until):
        while self.step < until:
            starts = torch.randint(0, len(self.data) - 37, (16,))
            window = torch.stack([self.data[s : s + 37] for s in starts])
            loss = nn.functional.mse_loss(self.model(window[:, :-1]), window[:, 1:])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.losses.append(loss.item())
            if self.step % 50 == 0:
                print(self.step, f"{loss.item():.6f}")
            self.step += 1


torch.manual_seed(21)
data = road()
first = Job(data)
first.run(150)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "traffic.npz")
    first.save(path)
    second = Job(data)
    second.load(path)
second.run(300)
print("final loss", sum(second.losses[-20:]) / 20)
