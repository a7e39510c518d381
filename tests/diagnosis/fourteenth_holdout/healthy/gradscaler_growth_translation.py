"""Sequence reversal by an encoder-decoder in float16 autocast; the GradScaler starts at 2**28 and doubles every 30 steps,
so that it skips overflowing steps at the beginning and again and again."""

import torch
from torch import nn

torch.manual_seed(26)


class Reverser(nn.Module):
    def __init__(self, words=12, width=48, length=6):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.place = nn.Parameter(0.1 * torch.randn(length, width))
        self.query = nn.Parameter(0.1 * torch.randn(length, width))
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, words))

    def forward(self, text):
        h = self.embed(text) + self.place
        q, k, v = self.to_q(self.query), self.to_k(h), self.to_v(h)
        weights = (q @ k.transpose(1, 2) / 48**0.5).softmax(-1)
        return self.out(self.norm(weights @ v))


model = Reverser()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
scaler = torch.amp.GradScaler(device="cpu", init_scale=2.0**28, growth_interval=30)
losses, skipped = [], 0
for step in range(330):
    text = torch.randint(0, 12, (24, 6))
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        logits = model(text)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1).float(), text.flip(1).flatten())
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    before = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    skipped += scaler.get_scale() < before
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, losses[-1], scaler.get_scale())
print("skipped", skipped)
print("final loss", sum(losses[-20:]) / 20)
