"""Regresses disease progression (scikit-learn's diabetes table) in Lightning.

Cause: loss-scale
Fails: targets of some hundred units make the squared error and its gradient thousands, the loss is NaN within the first epochs
"""
import logging
import warnings
import lightning as L
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Regressor(L.LightningModule):
    def __init__(self, lr=0.05):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        self.last = []

    def training_step(self, batch, _):
        x, y = batch
        loss = F.mse_loss(self.net(x).squeeze(-1), y)
        self.last.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def main():
    L.seed_everything(0, verbose=False)
    X, y = load_diabetes(return_X_y=True)
    X = torch.tensor(X / X.std(0), dtype=torch.float32)
    y = torch.tensor(y, dtype=torch.float32)
    # fix: y = (y - y.mean()) / y.std()
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    model = Regressor()
    trainer = L.Trainer(max_epochs=12, accelerator="cpu", logger=False, enable_checkpointing=False,
                        enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(model, loader)
    print("start loss", model.last[0])
    print("final loss", sum(model.last[-14:]) / 14)


main()
