"""Trains a GRU encoder-decoder with attention that sorts strings of symbols, saves a compact checkpoint half way and goes on from it.

Cause: corrupt-state
Fails: the loss is far down before the resume and NaN right after it
"""
import io
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(80)
torch.set_num_threads(1)
V, T, H = 16, 8, 64


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 32)
        self.enc, self.dec = nn.GRU(32, H, batch_first=True), nn.GRU(32, H, batch_first=True)
        self.att, self.out = nn.Linear(H, H, bias=False), nn.Linear(2 * H, V)

    def forward(self, s, t):
        m, h = self.enc(self.emb(s))
        q, _ = self.dec(self.emb(t), h)
        w = (self.att(q) @ m.transpose(1, 2)).softmax(-1)
        return self.out(torch.cat([q, w @ m], -1))


def batch(n, g):
    s = torch.randint(2, V, (n, T), generator=g)
    y = s.sort(1)[0]
    return s, torch.cat([torch.ones(n, 1, dtype=torch.long), y[:, :-1]], 1), y


def build():
    m = Seq2Seq()
    return m, torch.optim.Adam(m.parameters(), lr=3e-3)


def compact(x, rank=6):
    if torch.is_tensor(x) and x.dim() == 2:
        u, s, v = torch.linalg.svd(x, full_matrices=False)
        return (u[:, :rank] * s[:rank]) @ v[:rank]  # fix: return x
    if isinstance(x, dict):
        return {k: compact(v) for k, v in x.items()}
    return x


def save(model, opt, f):
    state = opt.state_dict()
    state["state"] = compact(state["state"])
    torch.save({"model": model.state_dict(), "optim": state}, f)


def load(f):
    model, opt = build()
    ck = torch.load(f)
    model.load_state_dict(ck["model"])
    opt.load_state_dict(ck["optim"])
    return model, opt


def train(model, opt, first, last, g):
    for step in range(first, last):
        s, ti, y = batch(32, g)
        loss = F.cross_entropy(model(s, ti).reshape(-1, V), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print("step", step, "loss", round(loss.item(), 4))


g = torch.Generator().manual_seed(4)
model, opt = build()
train(model, opt, 0, 300, g)
buf = io.BytesIO()
save(model, opt, buf)
buf.seek(0)
model, opt = load(buf)
train(model, opt, 300, 500, g)
with torch.no_grad():
    s, ti, y = batch(300, g)
    print("final loss", F.cross_entropy(model(s, ti).reshape(-1, V), y.reshape(-1)).item())
