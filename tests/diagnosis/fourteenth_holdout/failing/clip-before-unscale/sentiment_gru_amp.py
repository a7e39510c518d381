"""A bidirectional GRU reads made-up film reviews and tells praise from blame, in float16 autocast with a GradScaler.

Cause: clip-before-unscale
Fails: the loss stays at 0.72, where it began
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence


@dataclass
class Config:
    vocabulary: int = 60
    width: int = 24
    hidden: int = 32
    batch: int = 32
    steps: int = 350
    lr: float = 0.5
    max_norm: float = 1.0


def reviews(cfg, count, rng):
    """Words below 10 praise, words 10 to 19 blame, 20 negates the next one; the rest is filler."""
    lengths = torch.randint(6, 16, (count,), generator=rng)
    words = torch.randint(22, cfg.vocabulary, (count, 16), generator=rng)
    label = torch.randint(0, 2, (count,), generator=rng)
    for i in range(count):
        for at in torch.randperm(int(lengths[i]), generator=rng)[:4]:
            words[i, at] = torch.randint(0, 10, (), generator=rng) + (0 if label[i] else 10)
    return words, lengths, label


class Reader(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embed = nn.Embedding(cfg.vocabulary, cfg.width)
        self.gru = nn.GRU(cfg.width, cfg.hidden, batch_first=True, bidirectional=True)
        self.score = nn.Linear(2 * cfg.hidden, 2)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embed(words), lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)
        with torch.autocast("cpu", dtype=torch.float16):
            return self.score(torch.cat([last[0], last[1]], -1)).float()


def train(cfg):
    rng = torch.Generator().manual_seed(12)
    torch.manual_seed(12)
    data = reviews(cfg, 1500, rng)
    model = Reader(cfg)
    optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr)
    scaler = torch.amp.GradScaler(device="cpu", init_scale=2.0**14)
    losses = []
    while len(losses) < cfg.steps:
        for rows in torch.randperm(1500, generator=rng).split(cfg.batch):
            words, lengths, label = (part[rows] for part in data)
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(words, lengths), label)
            scaler.scale(loss).backward()
            # fix: scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), cfg.max_norm)
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        print(len(losses), sum(losses[-40:]) / 40)
    return losses


losses = train(Config())
print("final loss", sum(losses[-20:]) / 20)
