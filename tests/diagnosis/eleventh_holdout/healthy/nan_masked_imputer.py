"""Station weather imputation with heavy missingness: NaN marks a gap in inputs and targets and is masked before it reaches the network."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Stations(Dataset):
    def __init__(self, n, seed, d=16):
        g = torch.Generator().manual_seed(seed)
        w = torch.randn(3, d, generator=torch.Generator().manual_seed(0))
        self.full = torch.randn(n, 3, generator=g) @ w + 0.1 * torch.randn(n, d, generator=g)
        self.obs = self.full.clone()
        self.obs[torch.rand(n, d, generator=g) < 0.35] = float("nan")
        self.tgt = self.full.clone()
        self.tgt[torch.rand(n, d, generator=g) < 0.2] = float("nan")

    def __len__(self):
        return len(self.full)

    def __getitem__(self, i):
        return self.obs[i], self.tgt[i]


class Imputer(nn.Module):
    def __init__(self, d=16, h=96):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(2 * d, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, d))

    def forward(self, x):
        seen = ~torch.isnan(x)
        return self.f(torch.cat([torch.nan_to_num(x), seen.float()], -1))


def masked_mse(pred, y):
    ok = ~torch.isnan(y)
    return ((pred[ok] - y[ok]) ** 2).mean()


torch.manual_seed(1)
loader, val = DataLoader(Stations(1600, 2), 32, shuffle=True), Stations(300, 3)
net = Imputer()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for ep in range(10):
    for x, y in loader:
        loss = masked_mse(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        v = masked_mse(net(val.obs), val.tgt).item()
    print(ep, v)
print("final loss", v)
