"""Lightning module for a noisy tide series; the noise floor is most of the loss."""
import logging
import math
import warnings
import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def tide(n=1600, w=24):
    t = torch.arange(n + w).float()
    s = torch.sin(t * 2 * math.pi / 12.4) + 0.5 * torch.sin(t * 2 * math.pi / 24 + 1) + 0.5 * torch.randn(n + w)
    win = s.unfold(0, w + 1, 1)
    return win[:, :-1].clone(), win[:, -1].clone()


class Tide(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.fc = nn.Linear(24, 1)
        self.seen = []

    def training_step(self, batch, _):
        x, y = batch
        out, _ = self.gru(x.unsqueeze(-1))
        loss = (self.fc(out[:, -1]).squeeze(-1) - y).square().mean()
        self.seen.append(loss.item())
        return loss

    def configure_optimizers(self):
        opt = torch.optim.AdamW(self.parameters(), lr=5e-3)
        return [opt], [torch.optim.lr_scheduler.StepLR(opt, 4, 0.5)]


L.seed_everything(3, verbose=False)
model = Tide()
L.Trainer(max_epochs=8, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
          enable_model_summary=False, gradient_clip_val=1.0).fit(model, DataLoader(TensorDataset(*tide()), 16, shuffle=True))
print("start loss", sum(model.seen[:10]) / 10)
print("final loss", sum(model.seen[-100:]) / 100)
