"""Keyword spotting on synthetic chirps: learned filterbank, log energy in reduced precision, GRU classifier.

Cause: half-overflow
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class LearnedFilterbank(nn.Module):
    """Conv front end -> frame energy -> log compression."""

    def __init__(self, bands=20, win=64, hop=32):
        super().__init__()
        self.conv = nn.Conv1d(1, bands, win, stride=hop, bias=False)
        self.compute_dtype = torch.float16  # fix: self.compute_dtype = torch.float32

    def forward(self, wav):
        f = self.conv(wav.unsqueeze(1))
        f = f.to(self.compute_dtype)
        energy = f * f
        energy = F.avg_pool1d(energy.float(), 2)
        e = torch.log(energy + 1.0)
        return (e - e.mean((1, 2), keepdim=True)) / 3.0


class KWS(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.front = LearnedFilterbank()
        self.gru = nn.GRU(20, 32, batch_first=True)
        self.fc = nn.Linear(32, classes)

    def forward(self, wav):
        h, _ = self.gru(self.front(wav).transpose(1, 2))
        return self.fc(h.mean(1))


def utterances(n, gen, L=1024):
    """4 classes: up-chirp, down-chirp, tone, two tones. PCM-like integer amplitudes, log-normal loudness."""
    t = torch.arange(L) / L
    y = torch.randint(0, 4, (n,), generator=gen)
    f = 40 + 60 * torch.rand(n, 1, generator=gen)
    up = torch.sin(6.2832 * (f * t + 40 * t ** 2))
    dn = torch.sin(6.2832 * ((f + 80) * t - 40 * t ** 2))
    tone = torch.sin(6.2832 * f * t)
    two = torch.where(t < 0.5, tone, torch.sin(6.2832 * 1.6 * f * t))
    w = torch.stack([up, dn, tone, two], 1)[torch.arange(n), y]
    loud = torch.exp(3.6 + 0.5 * torch.randn(n, 1, generator=gen))
    return (loud * (w + 0.3 * torch.randn(n, L, generator=gen))).round(), y


def train():
    torch.set_num_threads(1)
    torch.manual_seed(77)
    gen = torch.Generator().manual_seed(77)
    model = KWS(4)
    opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 6e-3, total_steps=450)
    run = []
    for step in range(450):
        x, y = utterances(32, gen)
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
        run.append(loss.item())
        if step % 50 == 0:
            print(f"step {step:4d}  ce {loss.item():.4f}")
    print("final loss", sum(run[-20:]) / 20)


train()
