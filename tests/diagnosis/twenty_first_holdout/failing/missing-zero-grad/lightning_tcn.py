"""Trains a temporal convolutional network with Lightning in manual optimisation on a chaotic series.

Cause: missing-zero-grad
Fails: the loss rises in ever wider swings and is NaN before step 100
"""
import logging
import tempfile
import warnings
import torch
import torch.nn as nn
import torch.nn.functional as F
import lightning as L
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
L.seed_everything(33, verbose=False)
torch.set_num_threads(1)


def mackey_glass(n, tau=17):
    x = [1.2] * (tau + 1)
    for _ in range(n):
        x.append(x[-1] + 0.2 * x[-tau - 1] / (1 + x[-tau - 1] ** 10) - 0.1 * x[-1])
    s = torch.tensor(x[tau + 1:])
    return (s - s.mean()) / s.std()


series = mackey_glass(3000)
win = series.unfold(0, 49, 1)
X, Y = win[:, :48].unsqueeze(1), win[:, 1:49].unsqueeze(1)


class CausalBlock(nn.Module):
    def __init__(self, a, b, d):
        super().__init__()
        self.pad, self.conv = 2 * d, nn.Conv1d(a, b, 3, dilation=d)
        self.res = nn.Conv1d(a, b, 1)

    def forward(self, x):
        return F.relu(self.conv(F.pad(x, (self.pad, 0)))) + self.res(x)


class TCN(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.net = nn.Sequential(CausalBlock(1, 16, 1), CausalBlock(16, 16, 2), CausalBlock(16, 16, 4), nn.Conv1d(16, 1, 1))

    def training_step(self, batch, i):
        x, y = batch
        opt = self.optimizers()
        loss = F.mse_loss(self.net(x), y)
        # fix: opt.zero_grad()
        self.manual_backward(loss)
        opt.step()
        if self.global_step % 50 == 0:
            print("step", self.global_step, "loss", round(loss.item(), 5))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.02)


loader = DataLoader(TensorDataset(X[:2400], Y[:2400]), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(0))
model = TCN()
trainer = L.Trainer(max_steps=400, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=tempfile.mkdtemp())
trainer.fit(model, loader)
with torch.no_grad():
    print("final loss", F.mse_loss(model.net(X[2500:]), Y[2500:]).item())
