"""Conv1d regressor for the remaining wear of pumps from accelerometer windows streamed from a plant historian.

Cause: outlier-batch
Fails: the loss is not finite from step 143 on
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(13)
rng = np.random.default_rng(13)


def stream(n_batches, bs=32, length=128):
    t = np.arange(length) / length
    for b in range(n_batches):
        wear = rng.uniform(0, 1, bs)
        f = 8 + rng.normal(0, 0.3, (bs, 1))
        x = np.sin(2 * np.pi * f * t) + wear[:, None] * np.sin(2 * np.pi * 3.1 * f * t + rng.uniform(0, 6, (bs, 1)))
        x = x + rng.normal(0, 0.3, x.shape)
        if b == 141:
            x[5, 40:90] = 32767.0
        yield torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(wear, dtype=torch.float32)


model = nn.Sequential(
    nn.Conv1d(1, 16, 9, stride=2, padding=4), nn.ReLU(),
    nn.Conv1d(16, 32, 5, stride=2, padding=2), nn.ReLU(),
    nn.Conv1d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
    nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 1),
)
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
sched = torch.optim.lr_scheduler.StepLR(opt, 150, 0.3)
log = []
for i, (x, y) in enumerate(stream(320)):
    # fix: x = x.clamp(-8.0, 8.0)
    pred = model(x).squeeze(1)
    loss = (pred - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    log.append(loss.item())
    if i % 40 == 0:
        print(f"[{i}] mse={loss.item():.5f}")
print("final loss", float(np.mean(log[-30:])))
