"""Translation-style encoder-decoder (symbol substitution + reversal), stopped and resumed from a flat checkpoint.

Cause: corrupt-state
Fails: the loss is not finite from step 161 on
"""
import io

import torch
import torch.nn as nn
import torch.nn.functional as F

PAIRS, LEN, BOS = 12, 6, 12


class Seq2Seq(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.src, self.tgt = nn.Embedding(PAIRS + 1, d), nn.Embedding(PAIRS + 1, d)
        self.pos = nn.Parameter(0.1 * torch.randn(LEN, d))
        self.body = nn.Transformer(d, 4, 1, 1, 96, dropout=0.0, batch_first=True)
        self.out = nn.Linear(d, PAIRS)
        self.register_buffer("causal", torch.triu(torch.full((LEN, LEN), float("-inf")), 1))

    def forward(self, s, t):
        h = self.body(self.src(s) + self.pos, self.tgt(t) + self.pos, tgt_mask=self.causal)
        return self.out(h)


def pack(opt):
    """Flat m, v and the step counter; far smaller on disk than the nested state dict."""
    st = [opt.state[p] for g in opt.param_groups for p in g["params"]]
    return {"m": torch.cat([x["exp_avg"].flatten() for x in st]),
            "v": torch.cat([x["exp_avg_sq"].flatten() for x in st]),
            "t": int(st[0]["step"])}


def unpack(opt, flat):
    i = 0
    moments = torch.stack([flat["v"], flat["m"]])  # fix: moments = torch.stack([flat["m"], flat["v"]])
    for g in opt.param_groups:
        for p in g["params"]:
            m, v = moments[:, i:i + p.numel()]
            opt.state[p] = {"step": torch.tensor(float(flat["t"])), "exp_avg": m.view_as(p).clone(),
                            "exp_avg_sq": v.view_as(p).clone()}
            i += p.numel()


class Trainer:
    def __init__(self):
        self.net = Seq2Seq()
        self.opt = torch.optim.Adam(self.net.parameters(), lr=2e-3)
        self.losses = []

    def save(self):
        buf = io.BytesIO()
        torch.save({"net": self.net.state_dict(), "opt": pack(self.opt), "losses": self.losses}, buf)
        return buf.getvalue()

    @classmethod
    def load(cls, raw):
        me = cls()
        ck = torch.load(io.BytesIO(raw))
        me.net.load_state_dict(ck["net"])
        unpack(me.opt, ck["opt"])
        me.losses = ck["losses"]
        return me

    def train(self, n, table):
        for _ in range(n):
            s = torch.randint(0, PAIRS, (64, LEN))
            t = table[s].flip(1)
            t_in = torch.cat([torch.full((64, 1), BOS), t[:, :-1]], 1)
            loss = F.cross_entropy(self.net(s, t_in).flatten(0, 1), t.flatten())
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.losses.append(loss.item())
            if len(self.losses) % 50 == 1:
                print("step", len(self.losses) - 1, "loss", round(loss.item(), 4))


torch.manual_seed(18)
perm = torch.randperm(PAIRS)
first = Trainer()
first.train(160, perm)
ckpt = first.save()
second = Trainer.load(ckpt)
second.train(160, perm)
print("final loss", sum(second.losses[-10:]) / 10)
