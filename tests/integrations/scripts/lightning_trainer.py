"""A LightningModule and a Trainer with automatic optimization: the step gets a closure, and gradients exist only there."""

import argparse
import hashlib

import lightning as L
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Regression(L.LightningModule):
    def __init__(self, steps, nan_at):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(8, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(32, 32),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            nn.Linear(32, 1),
        )
        self.steps = steps
        self.nan_at = nan_at
        self.batches = 0

    def training_step(self, batch, batch_idx):
        x, y = batch
        if self.batches == self.nan_at:
            x = x * float("nan")
        self.batches += 1
        loss = F.mse_loss(self.net(x), y)
        print("loss", repr(loss.item()))
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2, fused=True)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class PrintRate(L.Callback):
    def __init__(self):
        self.seen = 0

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step > self.seen:
            self.seen = trainer.global_step
            print("rate", repr(trainer.optimizers[0].param_groups[0]["lr"]))


parser = argparse.ArgumentParser()
parser.add_argument("--nan-at", type=int, metavar="STEP", help="the batch that has a NaN in it")
parser.add_argument("--accumulate", type=int, default=1)
options = parser.parse_args()

L.seed_everything(0)
x = torch.randn(128, 8)
y = x[:, :4].sum(1, keepdim=True) + x[:, 4:5] * x[:, 5:6]
model = Regression(steps=32 // options.accumulate, nan_at=options.nan_at)
trainer = L.Trainer(
    max_epochs=4,
    accelerator="cpu",
    devices=1,
    callbacks=[PrintRate()],
    accumulate_grad_batches=options.accumulate,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(model, DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True))

optimizer = trainer.optimizers[0]
print("optimizer", type(optimizer).__name__, "fused:", optimizer.param_groups[0]["fused"])
print("steps", trainer.global_step)
digest = hashlib.sha256()
for tensor in model.state_dict().values():
    digest.update(tensor.numpy().tobytes())
print("weights", digest.hexdigest())
