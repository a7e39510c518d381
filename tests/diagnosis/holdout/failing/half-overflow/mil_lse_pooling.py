"""Multiple-instance learning: bags of instance scores joined by log-sum-exp pooling under float16 autocast.

Cause: half-overflow
Fails: exp of a sharpened score passes 65504 once the scores have grown past two, the pooled score is inf and the run nan from there on
First bad: step 20, forward, aten.exp, MILNet.forward
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(9)
BAG, FEAT, SHARPNESS = 20, 16, 6.0


class Bags(Dataset):
    """A bag is positive when at least one instance lies in the diseased cluster."""

    def __init__(self, n=1200):
        g = torch.Generator().manual_seed(2)
        centre = torch.randn(FEAT, generator=g) * 0.9
        self.x = torch.randn(n, BAG, FEAT, generator=g)
        self.y = (torch.rand(n, generator=g) < 0.5).float()
        for i in range(n):
            if self.y[i] == 1:
                k = int(torch.randint(1, 4, (1,), generator=g))
                self.x[i, :k] = centre + 0.6 * torch.randn(k, FEAT, generator=g)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class MILNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.instance = nn.Sequential(nn.Linear(FEAT, 64), nn.ReLU(), nn.Linear(64, 1))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, bag):
        s = self.instance(bag).squeeze(-1) * SHARPNESS
        e = torch.exp(s)  # fix: e = torch.exp(s.float())
        return torch.log(e.mean(dim=1)).float() / SHARPNESS + self.bias


loader = DataLoader(Bags(), batch_size=40, shuffle=True)
model = MILNet()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for epoch in range(8):
    for bag, label in loader:
        with torch.autocast("cpu", dtype=torch.float16):
            score = model(bag)
        loss = nn.functional.binary_cross_entropy_with_logits(score, label)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch} loss {losses[-1]:.4f}")
print("final loss", sum(losses[-10:]) / 10)
