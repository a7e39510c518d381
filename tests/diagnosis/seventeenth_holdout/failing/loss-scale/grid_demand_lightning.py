"""Trains a Lightning module that forecasts grid demand (MW) from calendar features and the last day.
Cause: loss-scale
Fails: the error, reported in units of the demand variance, stays tens of times above one, moving only slowly.
"""
import logging
import math
import warnings
import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
L.seed_everything(7, verbose=False)

N = 3000
h = torch.arange(N).float()
mw = 31000 + 5200 * torch.sin(2 * math.pi * h / 24) + 2600 * torch.sin(2 * math.pi * h / 168) + 500 * torch.randn(N)
z = (mw - mw.mean()) / mw.std()
lags = z.unfold(0, 24, 1)[:-1]
cal = torch.stack([torch.sin(2 * math.pi * h / 24), torch.cos(2 * math.pi * h / 24)], 1)[24:]
X = torch.cat([lags, cal], 1)
y = mw[24:]  # fix: y = z[24:]


class Demand(L.LightningModule):
    def __init__(self, var):
        super().__init__()
        self.var = var
        self.net = nn.Sequential(nn.Linear(26, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        self.log_ = []

    def training_step(self, batch, _):
        xb, yb = batch
        loss = nn.functional.mse_loss(self.net(xb).squeeze(1), yb)
        self.log_.append(loss.item() / self.var)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


m = Demand(y.var().item())
dl = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
tr = L.Trainer(max_epochs=8, accelerator="cpu", logger=False, enable_checkpointing=False,
               enable_progress_bar=False, enable_model_summary=False)
tr.fit(m, dl)
k = len(dl)
for e in range(0, 8):
    print("epoch", e, round(sum(m.log_[e * k:(e + 1) * k]) / k, 5))
print("final loss", round(sum(m.log_[-k:]) / k, 5))
