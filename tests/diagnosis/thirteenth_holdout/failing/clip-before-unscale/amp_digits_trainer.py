"""Mixed-precision training of an MLP-mixer-like net on sklearn digits with a gradient scaler.

Cause: clip-before-unscale
Fails: final accuracy 0.1436 (with the fix 0.9395)
"""
import torch
from torch import nn
from sklearn.datasets import load_digits


class Mix(nn.Module):
    def __init__(self, tok, dim):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.t = nn.Sequential(nn.Linear(tok, 16), nn.GELU(), nn.Linear(16, tok))
        self.c = nn.Sequential(nn.Linear(dim, 48), nn.GELU(), nn.Linear(48, dim))

    def forward(self, x):
        x = x + self.t(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.c(self.n2(x))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(8, 24)
        self.body = nn.Sequential(Mix(8, 24), Mix(8, 24))
        self.out = nn.Linear(24, 10)

    def forward(self, img):
        return self.out(self.body(self.inp(img)).mean(1))


class AmpTrainer:
    def __init__(self, model, lr=0.1, max_norm=1.0):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)
        self.max_norm = max_norm

    def train_step(self, x, y):
        self.opt.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.model(x)
        loss = nn.functional.cross_entropy(logits.float(), y)
        self.scaler.scale(loss).backward()
        # fix: self.scaler.unscale_(self.opt)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.scaler.step(self.opt)
        self.scaler.update()
        return loss.item()

    @torch.no_grad()
    def score(self, x, y):
        return (self.model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(17)
    d = load_digits()
    X, Y = torch.tensor(d.images / 8 - 1, dtype=torch.float32), torch.tensor(d.target)
    order = torch.randperm(len(X))
    tr, te = order[:1400], order[1400:]
    trainer = AmpTrainer(Mixer())
    for epoch in range(10):
        losses = [trainer.train_step(X[b], Y[b]) for b in tr[torch.randperm(1400)].split(40)]
        print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f} acc {trainer.score(X[te], Y[te]):.3f}")
    print("final accuracy", trainer.score(X[te], Y[te]))
