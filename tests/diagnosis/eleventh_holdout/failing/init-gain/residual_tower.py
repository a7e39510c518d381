"""Ranking head of a search engine: deep residual MLP tower trained pointwise on click grades.

Cause: init-gain
Fails: final value 1.945e+06 (with the fix 0.07282); largest backward loss 1.859e+12 at call 1, first 1.567e+11
"""
import argparse
import torch
from torch import nn

REGISTRY = {}


def register(name):
    def deco(cls):
        REGISTRY[name] = cls
        return cls
    return deco


class Block(nn.Module):
    def __init__(self, dim, mult, n_blocks):
        super().__init__()
        self.up = nn.Linear(dim, dim * mult)
        self.down = nn.Linear(dim * mult, dim)
        nn.init.kaiming_normal_(self.up.weight, nonlinearity="relu")
        nn.init.normal_(self.down.weight, std=(2.0 / dim) ** 0.5)  # fix: nn.init.normal_(self.down.weight, std=(2.0 / (dim * mult * n_blocks)) ** 0.5)
        nn.init.zeros_(self.up.bias)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(x)))


@register("restower")
class ResTower(nn.Module):
    def __init__(self, d_in, dim=48, mult=4, n_blocks=14):
        super().__init__()
        self.stem = nn.Linear(d_in, dim)
        self.blocks = nn.ModuleList(Block(dim, mult, n_blocks) for _ in range(n_blocks))
        self.out = nn.Linear(dim, 1)

    def forward(self, x):
        x = self.stem(x)
        for b in self.blocks:
            x = b(x)
        return self.out(x).squeeze(-1)


class Callback:
    def on_step(self, trainer):
        pass


class LossMeter(Callback):
    def __init__(self):
        self.hist = []

    def on_step(self, trainer):
        self.hist.append(trainer.last)
        if trainer.step % 50 == 0:
            print(trainer.step, round(trainer.last, 4))


class Trainer:
    def __init__(self, model, lr, callbacks):
        self.model, self.callbacks, self.step = model, callbacks, 0
        decay = [p for p in model.parameters() if p.ndim > 1]
        rest = [p for p in model.parameters() if p.ndim <= 1]
        self.opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=lr)

    def fit(self, batches):
        for x, y in batches:
            self.opt.zero_grad()
            loss = nn.functional.mse_loss(self.model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.opt.step()
            self.last = loss.item()
            self.step += 1
            for c in self.callbacks:
                c.on_step(self)


def stream(n, bs, d, seed):
    g = torch.Generator().manual_seed(seed)
    w = torch.randn(d, generator=g) / d ** 0.5
    v = torch.randn(d, generator=g) / d ** 0.5
    for _ in range(n):
        x = torch.randn(bs, d, generator=g)
        y = x @ w + torch.tanh(2 * x @ v) + 0.1 * torch.randn(bs, generator=g)
        yield x, y


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default="restower")
    ap.add_argument("--steps", type=int, default=300)
    ap.add_argument("--lr", type=float, default=1e-3)
    args = ap.parse_args()
    torch.manual_seed(3)
    meter = LossMeter()
    Trainer(REGISTRY[args.model](24), args.lr, [meter]).fit(stream(args.steps, 64, 24, 5))
    print("final loss", sum(meter.hist[-20:]) / 20)
