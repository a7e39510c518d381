"""A bidirectional GRU tags template reviews under bfloat16 autocast, with a gradient scaler, unscaling and tight clipping."""
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

random.seed(5)
torch.manual_seed(5)
POS, NEG = "great fresh friendly cosy quick".split(), "cold rude stale slow noisy".split()
NOUN = "soup bread waiter table coffee".split()


def review():
    n, y = random.randint(1, 3), random.randrange(2)
    toks = []
    for _ in range(n):
        flip = random.random() < 0.35
        good = bool(y) != flip
        toks += ["the", random.choice(NOUN), "was"] + (["not"] if flip else []) + [random.choice(POS if good else NEG)]
    return toks, y


V = {w: i + 1 for i, w in enumerate(sorted(set(POS + NEG + NOUN + ["the", "was", "not"])))}


def collate(rows):
    lens = torch.tensor([len(t) for t, _ in rows])
    x = torch.zeros(len(rows), int(lens.max()), dtype=torch.long)
    for r, (t, _) in enumerate(rows):
        x[r, : len(t)] = torch.tensor([V[w] for w in t])
    return x, lens, torch.tensor([y for _, y in rows])


class Tagger(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.emb = nn.Embedding(len(V) + 1, 24)
        self.gru = nn.GRU(24, h, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * h, 2)

    def forward(self, x, lens):
        p = pack_padded_sequence(self.emb(x), lens, batch_first=True, enforce_sorted=False)
        hn = self.gru(p)[1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.fc(torch.cat([hn[0], hn[1]], 1))


loader = torch.utils.data.DataLoader([review() for _ in range(960)], 32, shuffle=True, collate_fn=collate)
model = Tagger()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=20)
log = []
for epoch in range(9):
    for x, lens, y in loader:
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x, lens).float(), y)
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        scaler.step(opt)
        scaler.update()
        log.append(loss.item())
print("first loss", log[0])
print("final loss", sum(log[-30:]) / 30)
