"""Insurance claims, Student-t(1.5) noise on the target, Huber loss; single batches show errors of hundreds."""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.RandomState(77)
torch.manual_seed(77)
N = 5000
age = rng.uniform(18, 80, N); power = rng.randint(4, 15, N); region = rng.randint(0, 6, N)
mean = 3 + 0.002 * (age - 45) ** 2 + 0.4 * power + np.array([0, 1, -1, 2, 0.5, -2])[region]
claim = mean + 0.4 * rng.standard_t(1.5, N)
print("largest |target|", np.abs(claim).max())
num = np.stack([(age - 49) / 18, (power - 9) / 3.2], 1)
X = torch.tensor(num, dtype=torch.float32)
R = torch.tensor(region)
Y = torch.tensor((claim - np.median(claim)) / 2.0, dtype=torch.float32)


class Tab(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(6, 4)
        self.net = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x, r):
        return self.net(torch.cat([x, self.emb(r)], 1)).squeeze(1)


model = Tab()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
crit = nn.HuberLoss(delta=0.5)
tr, va = slice(0, 4200), slice(4200, N)
for epoch in range(12):
    p = torch.randperm(4200)
    worst = 0.0
    for k in range(0, 4200, 16):
        i = p[k:k + 16]
        loss = crit(model(X[i], R[i]), Y[i])
        opt.zero_grad(); loss.backward(); opt.step()
        worst = max(worst, loss.item())
    with torch.no_grad():
        out = model(X[va], R[va])
        v = crit(out, Y[va]).item()
        med = (out - Y[va]).abs().median().item()
    print(f"epoch {epoch} val huber {v:.4f} median abs err {med:.4f} worst batch {worst:.2f}")
print("final loss", med)
