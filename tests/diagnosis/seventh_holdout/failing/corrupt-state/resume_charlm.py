"""Character LM (small GPT) with a mid-run checkpoint and resume, flat checkpoint format.

Cause: corrupt-state
Fails: the two Adam moments are read back in the wrong order, exp_avg_sq then has negative entries whose root is nan; the loss is nan from the first step after the resume at 260
"""
import argparse
import io
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

WORDS = "the cat sat on a mat and then ran to find some milk while dogs bark at night under stars".split()


def corpus(n, g):
    # words follow a simple bigram habit
    out, w = [], 0
    for _ in range(n):
        r = torch.rand(1, generator=g).item()
        w = (w + 1) % len(WORDS) if r < 0.7 else int(torch.randint(len(WORDS), (1,), generator=g))
        out.append(WORDS[w])
    return " ".join(out)


class Block(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.h = h
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.o = nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = (z.view(B, T, self.h, D // self.h).transpose(1, 2) for z in self.qkv(self.ln1(x)).chunk(3, -1))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(B, T, D))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, V, d=48, L=2, T=48):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, d), nn.Embedding(T, d)
        self.blocks = nn.Sequential(*[Block(d, 4) for _ in range(L)])
        self.ln = nn.LayerNorm(d)
        self.head = nn.Linear(d, V)

    def forward(self, i):
        x = self.tok(i) + self.pos(torch.arange(i.shape[1]))
        return self.head(self.ln(self.blocks(x)))


def flat(opt, key):
    return torch.cat([opt.state[p][key].flatten() for g in opt.param_groups for p in g["params"]])


def save(buf, model, opt, step):
    """one flat vector per moment is quicker to write than hundreds of small tensors"""
    torch.save([step, model.state_dict(), flat(opt, "exp_avg"), flat(opt, "exp_avg_sq")], buf)


def load(buf, model, opt):
    step, weights, sq, avg = torch.load(buf)  # fix: step, weights, avg, sq = torch.load(buf)
    model.load_state_dict(weights)
    at = 0
    for g in opt.param_groups:
        for p in g["params"]:
            n = p.numel()
            opt.state[p] = {"step": torch.tensor(float(step)), "exp_avg": avg[at:at + n].view_as(p).clone(),
                            "exp_avg_sq": sq[at:at + n].view_as(p).clone()}
            at += n
    return step


def build(V, lr):
    torch.manual_seed(0)
    m = GPT(V)
    return m, torch.optim.Adam(m.parameters(), lr=lr)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--iters", type=int, default=420)
    ap.add_argument("--ckpt-at", type=int, default=260)
    ap.add_argument("--lr", type=float, default=2e-3)
    a = ap.parse_args()
    g = torch.Generator().manual_seed(1)
    text = corpus(6000, g)
    chars = sorted(set(text))
    ids = torch.tensor([chars.index(c) for c in text])
    model, opt = build(len(chars), a.lr)
    last, step, buf = [], 0, io.BytesIO()
    while step < a.iters:
        if step == a.ckpt_at and buf.tell() == 0:
            save(buf, model, opt, step)
            # preempted: a new process picks up the checkpoint
            buf.seek(0)
            model, opt = build(len(chars), a.lr)
            step = load(buf, model, opt)
            buf.seek(0, 2)
            print("resumed at", step)
        s = torch.randint(len(ids) - 49, (16,), generator=g)
        b = torch.stack([ids[i:i + 49] for i in s])
        loss = F.cross_entropy(model(b[:, :-1]).flatten(0, 1), b[:, 1:].flatten())
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        last.append(loss.item())
        if step % 20 == 0:
            print(f"iter {step:4d} loss {loss.item():.4f} ppl {math.exp(min(loss.item(), 20)):.2f}")
        step += 1
    print("final loss", sum(last[-20:]) / 20)


if __name__ == "__main__":
    main()
