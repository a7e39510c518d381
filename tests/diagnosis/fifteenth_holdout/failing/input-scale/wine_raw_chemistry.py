"""A small Lightning classifier tells three wine cultivars apart from their chemical analysis.

Cause: input-scale
Fails: proline in the thousands beside hues near one; SGD blows up at once and then stays at chance
"""
import logging
import warnings

import lightning as L
import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Cultivar(L.LightningModule):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(13, width), nn.LeakyReLU(0.1), nn.Linear(width, width), nn.LeakyReLU(0.1), nn.Linear(width, 3))
        self.seen = []

    def training_step(self, batch, _):
        x, y = batch
        loss = nn.functional.cross_entropy(self.net(x), y)
        self.seen.append(loss.item())
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def main():
    L.seed_everything(1, verbose=False)
    X, y = load_wine(return_X_y=True)
    mean, std = X.mean(0), X.std(0)
    feats = torch.tensor(X, dtype=torch.float32)  # fix: feats = torch.tensor((X - mean) / std, dtype=torch.float32)
    loader = DataLoader(TensorDataset(feats, torch.tensor(y)), batch_size=24, shuffle=True)
    model = Cultivar()
    trainer = L.Trainer(max_epochs=14, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(model, loader)
    print("final loss", sum(model.seen[-24:]) / 24)


if __name__ == "__main__":
    main()
