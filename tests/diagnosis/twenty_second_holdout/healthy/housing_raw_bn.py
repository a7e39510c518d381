"""Synthetic housing table with columns from 1e-3 to 1e7 fed raw: the first layer is a batch norm, targets are log prices."""
import numpy as np
import torch
from torch.utils.data import TensorDataset, DataLoader

torch.set_num_threads(1)
np.random.seed(0); torch.manual_seed(0)

n = 4000
sqm = np.random.lognormal(4.4, 0.4, n)
income = np.random.lognormal(11, 0.6, n)
pop = np.random.lognormal(12.5, 1.2, n)
ndvi = np.random.rand(n) * 1e-3
year = np.random.randint(1900, 2024, n)
lat = 47 + 2 * np.random.rand(n)
X = np.stack([sqm, income, pop, ndvi, year, lat], 1).astype("float32")
y = 0.9 * np.log(sqm) + 0.4 * np.log(income) + 0.1 * np.log(pop) + 300 * ndvi + 0.004 * (year - 1960) - 0.2 * np.abs(lat - 48) + 0.1 * np.random.randn(n)
y = ((y - y.mean())).astype("float32")
print("column maxima", X.max(0))

ds = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
tr, va = torch.utils.data.random_split(ds, [3200, 800], generator=torch.Generator().manual_seed(0))
model = torch.nn.Sequential(
    torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 64), torch.nn.ReLU(), torch.nn.Dropout(0.1),
    torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1), torch.nn.Flatten(0))
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=2, factor=0.5)
for epoch in range(14):
    model.train()
    for xb, yb in DataLoader(tr, 64, shuffle=True, drop_last=True):
        loss = torch.nn.functional.mse_loss(model(xb), yb)
        opt.zero_grad(); loss.backward(); opt.step()
    model.eval()
    with torch.no_grad():
        v = np.mean([torch.nn.functional.mse_loss(model(a), b).item() for a, b in DataLoader(va, 400)])
    plateau.step(v)
    print(f"epoch {epoch}: train {loss.item():.4f} valid {v:.4f}")
print("final loss", float(v))
