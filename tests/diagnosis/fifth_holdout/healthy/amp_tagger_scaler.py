"""Part-of-speech tagger (bidirectional GRU) in float16 autocast; the scaler starts far too high and skips its first steps."""
import random

import torch
import torch.nn as nn

LEX = {"D": "the a one this".split(), "N": "dog cat man run walk park bird".split(),
       "V": "sees likes run walk eats".split(), "A": "big old small".split(), "P": "in on by".split()}
PATTERNS = ["DNVDN", "DANVDN", "DNVPDN", "DANVPDAN", "DNVDNPDN"]
WORDS = {w: i + 1 for i, w in enumerate(sorted({w for ws in LEX.values() for w in ws}))}
TAGS = {t: i for i, t in enumerate("DNVAP")}


def sentence(rnd):
    pat = rnd.choice(PATTERNS)
    return [WORDS[rnd.choice(LEX[t])] for t in pat], [TAGS[t] for t in pat]


def collate(items, width=8):
    x = torch.zeros(len(items), width, dtype=torch.long)
    y = torch.full((len(items), width), -100)
    for i, (w, t) in enumerate(items):
        x[i, :len(w)] = torch.tensor(w)
        y[i, :len(t)] = torch.tensor(t)
    return x, y


class Tagger(nn.Module):
    def __init__(self, hid=32):
        super().__init__()
        self.emb = nn.Embedding(len(WORDS) + 1, hid, padding_idx=0)
        self.fwd, self.bwd = nn.GRUCell(hid, hid), nn.GRUCell(hid, hid)
        self.out = nn.Linear(2 * hid, len(TAGS))

    def scan(self, cell, steps):
        h, res = torch.zeros(steps[0].shape), []
        for s in steps:
            h = cell(s, h)
            res.append(h)
        return res

    def forward(self, x):
        e = list(self.emb(x).unbind(1))
        f, b = self.scan(self.fwd, e), self.scan(self.bwd, e[::-1])[::-1]
        return self.out(torch.cat([torch.stack(f, 1), torch.stack(b, 1)], -1))


def main():
    rnd = random.Random(52)
    torch.manual_seed(52)
    net = Tagger()
    opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
    scaler = torch.amp.GradScaler(device="cpu", init_scale=2.0 ** 28, growth_interval=100)
    tail = []
    for step in range(220):
        x, y = collate([sentence(rnd) for _ in range(32)])
        opt.zero_grad(set_to_none=True)
        with torch.amp.autocast(device_type="cpu", dtype=torch.float16):
            logits = net(x)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), y.flatten())
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        norm = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
        tail = (tail + [loss.item()])[-20:]
        if step < 12 or step % 40 == 0:
            print(f"step {step} loss {loss.item():.4f} norm {norm.item():.3g} scale {scaler.get_scale():.0f}")
    print("final loss", sum(tail) / len(tail))


main()
