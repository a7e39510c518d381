"""A GPT-2 of two layers from transformers reads arithmetic facts, interrupted once and resumed from a compact checkpoint.

Cause: corrupt-state
Fails: the first moments come back from the 8-bit grid 127 times too long, the steps after the resume wreck the weights
"""
import random

import torch
from transformers import GPT2Config, GPT2LMHeadModel

random.seed(2)
torch.manual_seed(2)
TOK = list("0123456789+-=;")
ENC = {c: i for i, c in enumerate(TOK)}


def facts(n, length=24):
    rows = []
    for _ in range(n):
        s = ""
        while len(s) < length:
            a, b = random.randint(0, 9), random.randint(0, 9)
            s += f"{a}+{b}={a + b};" if random.random() < 0.5 else f"{max(a, b)}-{min(a, b)}={abs(a - b)};"
        rows.append([ENC[c] for c in s[:length]])
    return torch.tensor(rows)


def compact(t):
    """Linear 8-bit quantisation with one scale for the tensor."""
    top = t.abs().max().clamp(min=1e-30)
    return torch.round(t / top * 127).to(torch.int8), top


def expand(q, top):
    return q.float() * top  # fix: return q.float() * top / 127


def save(opt):
    sd = opt.state_dict()
    for st in sd["state"].values():
        st["exp_avg"] = compact(st["exp_avg"])
    return sd


def load(opt, sd):
    for st in sd["state"].values():
        st["exp_avg"] = expand(*st["exp_avg"])  # the second moment needs its range and is kept as it is
    opt.load_state_dict(sd)


cfg = GPT2Config(vocab_size=len(TOK), n_positions=24, n_embd=48, n_layer=2, n_head=4, bos_token_id=None, eos_token_id=None, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
model = GPT2LMHeadModel(cfg)
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
losses = []
for step in range(260):
    if step == 160:
        ckpt = save(opt)
        opt = torch.optim.Adam(model.parameters(), lr=4e-3)
        load(opt, ckpt)
    x = facts(32)
    loss = model(input_ids=x, labels=x).loss
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-30:]) / 30)
