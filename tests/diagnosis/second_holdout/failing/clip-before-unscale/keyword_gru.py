"""Spots keywords in synthetic mel frames: conv front end, mixed precision, gradient accumulation.

Cause: clip-before-unscale
Fails: the clip by value sees gradients times 32768, what is left after unscaling is some 1e-5; accuracy stays at chance
"""
import contextlib
import torch
from torch import nn


class Config:
    mels, frames, words = 16, 30, 6
    batch, accum, updates = 16, 2, 200
    lr, momentum, clip_value = 0.1, 0.9, 0.5
    amp = True


cfg = Config()
torch.manual_seed(10)
templates = torch.randn(cfg.words, cfg.mels, 12)


def fetch():
    y = torch.randint(0, cfg.words, (cfg.batch,))
    x = 0.7 * torch.randn(cfg.batch, cfg.mels, cfg.frames)
    for n, w in enumerate(y):
        s = int(torch.randint(0, cfg.frames - 12, ()))
        x[n, :, s:s + 12] += templates[w]
    return x, y


class Spotter(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(cfg.mels, 32, 5, padding=2)
        self.conv2 = nn.Conv1d(32, 32, 5, padding=2)
        self.fc = nn.Linear(32, cfg.words)

    def forward(self, x):
        h = torch.relu(self.conv1(x))
        h = torch.relu(self.conv2(h))
        return self.fc(h.amax(-1))


def main():
    model = Spotter()
    opt = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 15, enabled=cfg.amp)
    ctx = torch.autocast("cpu", dtype=torch.float16) if cfg.amp else contextlib.nullcontext()
    avg = None
    for update in range(cfg.updates):
        opt.zero_grad()
        acc = 0.0
        for _ in range(cfg.accum):
            x, y = fetch()
            with ctx:
                out = model(x)
            loss = nn.functional.cross_entropy(out.float(), y) / cfg.accum
            scaler.scale(loss).backward()
            acc += loss.item()
        # fix: scaler.unscale_(opt)
        nn.utils.clip_grad_value_(model.parameters(), cfg.clip_value)
        scaler.step(opt)
        scaler.update()
        avg = acc if avg is None else 0.95 * avg + 0.05 * acc
        if update % 25 == 0:
            print("update", update, "loss", acc)
    print("final loss", avg)


main()
