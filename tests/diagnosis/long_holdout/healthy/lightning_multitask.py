"""Lightning: alternating multi-task training, one task with losses of order 1e4 (house-price like), one of order 1 (classes)."""
import logging, tempfile, warnings
warnings.filterwarnings("ignore"); logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class Lit(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.trunk = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.price = nn.Linear(32, 1); self.kind = nn.Linear(32, 6)
        self.hist = {0: [], 1: []}
    def training_step(self, b, i):
        opts = self.optimizers(); task = i % 2
        x, yp, yk = b; h = self.trunk(x)
        if task == 0:
            loss = nn.functional.mse_loss(self.price(h).squeeze(1), yp)
            back = loss / 1e3
        else:
            loss = back = nn.functional.cross_entropy(self.kind(h), yk)
        opt = opts[task]; opt.zero_grad(); self.manual_backward(back)
        self.clip_gradients(opt, gradient_clip_val=5., gradient_clip_algorithm="norm")
        opt.step(); self.hist[task].append(loss.item())
    def on_train_epoch_end(self):
        for s in self.lr_schedulers(): s.step()
        if self.current_epoch % 5 == 0:
            a, b = self.hist[0][-200:], self.hist[1][-200:]
            print(f"epoch {self.current_epoch} price {sum(a)/len(a):.1f} kind {sum(b)/len(b):.4f}")
    def configure_optimizers(self):
        t = list(self.trunk.parameters())
        o1 = torch.optim.AdamW(t + list(self.price.parameters()), lr=2e-3); o2 = torch.optim.AdamW(t + list(self.kind.parameters()), lr=1e-3)
        return [o1, o2], [torch.optim.lr_scheduler.ExponentialLR(o, .9) for o in (o1, o2)]

L.seed_everything(14, verbose=False)
x = torch.randn(6400, 16); w = torch.randn(16, 6)
price = 120 + 60 * torch.tanh(x @ w[:, 0] / 4) + 15 * x[:, 1] * x[:, 2] + 8 * torch.randn(6400)
kind = (x @ w + torch.cos(2 * x) @ w.roll(1, 1) + .6 * torch.randn(6400, 6)).argmax(1)
dl = DataLoader(TensorDataset(x, price, kind), batch_size=32, shuffle=True)
with tempfile.TemporaryDirectory() as d:
    m = Lit()
    L.Trainer(max_epochs=30, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
              enable_model_summary=False, default_root_dir=d).fit(m, dl)
a, b = m.hist[0][-500:], m.hist[1][-500:]
print(f"tasks: price {sum(a)/len(a):.2f} kind {sum(b)/len(b):.4f}")
print(f"final loss {(sum(a)/len(a)/1e3 + sum(b)/len(b)):.4f}")
