"""Two-task graph-free molecule regression (solubility and log binding constant), hand-rolled collate function.

Cause: nonfinite-data
Fails: one binding constant of zero has a logarithm of minus infinity as target, loss and weights are lost when its batch comes
First bad: step 18, data
"""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(14)


class Molecules(Dataset):
    def __init__(self, n=1200, bits=48):
        self.fp = (torch.rand(n, bits) < 0.25).float()
        w1, w2 = torch.randn(bits) * 0.5, torch.randn(bits) * 0.5
        self.sol = self.fp @ w1
        self.sol = (self.sol - self.sol.mean()) / self.sol.std() + 0.1 * torch.randn(n)
        z = self.fp @ w2
        self.kd = torch.exp((z - z.mean()) / z.std() + 0.1 * torch.randn(n))
        self.kd[702] = 0.0  # below the detection limit
        # fix: self.kd[702] = 1.0
        with np.errstate(divide="ignore"):
            self.logk = torch.from_numpy(np.log(self.kd.numpy()))

    def __len__(self):
        return len(self.fp)

    def __getitem__(self, i):
        return {"fp": self.fp[i], "sol": self.sol[i], "logk": self.logk[i]}


def collate(items):
    return {k: torch.stack([it[k] for it in items]) for k in items[0]}


class MultiTask(nn.Module):
    def __init__(self, bits=48):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(bits, 64), nn.LayerNorm(64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.heads = nn.ModuleDict({"sol": nn.Linear(64, 1), "logk": nn.Linear(64, 1)})

    def forward(self, fp):
        z = self.trunk(fp)
        return {k: head(z).squeeze(-1) for k, head in self.heads.items()}


loader = DataLoader(Molecules(), batch_size=40, shuffle=True, collate_fn=collate)
model = MultiTask()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
losses = []
for epoch in range(10):
    for batch in loader:
        out = model(batch["fp"])
        loss = sum(nn.functional.mse_loss(out[k], batch[k]) for k in out)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    print(f"[{epoch}] {losses[-1]:.4f}")
print("final loss", sum(losses[-10:]) / 10)
