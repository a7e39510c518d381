"""Mixture-of-experts token model with SGDR warm restarts; the loss climbs again at every restart."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class HP:
    vocab: int = 40
    ctx: int = 10
    d: int = 40
    experts: int = 4
    lr: float = 1.2e-2
    cycle: int = 60
    steps: int = 240


class MoE(nn.Module):
    def __init__(self, d, e):
        super().__init__()
        self.gate = nn.Linear(d, e, bias=False)
        self.w1 = nn.Parameter(torch.randn(e, d, 2 * d) * d ** -0.5)
        self.w2 = nn.Parameter(torch.randn(e, 2 * d, d) * (2 * d) ** -0.5)

    def forward(self, x):
        p = self.gate(x).softmax(-1)
        top, idx = p.topk(2, -1)
        w = torch.zeros_like(p).scatter(-1, idx, top / top.sum(-1, keepdim=True))
        h = torch.einsum("btd,edf->btef", x, self.w1)
        y = torch.einsum("btef,efd->bted", F.silu(h), self.w2)
        frac = (w > 0).float().mean((0, 1))
        self.aux = (frac * p.mean((0, 1))).sum() * p.shape[-1]
        return (y * w[..., None]).sum(2)


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.emb = nn.Embedding(c.vocab, c.d)
        self.rnn = nn.GRU(c.d, c.d, batch_first=True)
        self.ln = nn.LayerNorm(c.d)
        self.moe = MoE(c.d, c.experts)
        self.out = nn.Linear(c.d, c.vocab)

    def forward(self, x):
        h, _ = self.rnn(self.emb(x))
        return self.out(h + self.moe(self.ln(h)))


def main(c):
    torch.manual_seed(9)
    rule = torch.randint(0, c.vocab, (4, c.vocab))
    net = Model(c)
    opt = torch.optim.Adam(net.parameters(), lr=c.lr)
    sch = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, c.cycle, eta_min=1e-5)
    out = []
    for s in range(c.steps):
        mode = torch.randint(0, 4, (48,))
        seq = [torch.randint(0, c.vocab, (48,))]
        for _ in range(c.ctx):
            seq.append(rule[mode, seq[-1]])
        seq = torch.stack(seq, 1)
        loss = F.cross_entropy(net(seq[:, :-1]).flatten(0, 1), seq[:, 1:].flatten())
        opt.zero_grad()
        (loss + 0.01 * net.moe.aux).backward()
        opt.step()
        sch.step()
        out.append(loss.item())
        if s % 30 == 0:
            print(s, round(out[-1], 4), f"lr {sch.get_last_lr()[0]:.2e}")
    print("final loss", sum(out[-10:]) / 10)


main(HP())
