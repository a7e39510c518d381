"""Regression with a checkpoint in the middle that stores Adam's moments in a compact logarithmic byte code.

Cause: corrupt-state
Fails: the decoder forgets the exponential, the restored second moment is negative and the first step after the resume writes nan
First bad: step 0, optimizer, aten.sqrt, AdamW.step
"""

import os
import tempfile

import torch
from torch import nn

torch.manual_seed(66)


def encode_v(v):
    """256 levels of log2(v) between -60 and 20."""
    lg = torch.log2(v.clamp(min=2.0**-60))
    return ((lg + 60) / 80 * 255).round().clamp(0, 255).to(torch.uint8)


def decode_v(code):
    lg = code.float() / 255 * 80 - 60
    return lg  # fix: return torch.exp2(lg)


def save(path, model, opt, step):
    sd = opt.state_dict()
    packed = {
        k: {"step": s["step"], "exp_avg": s["exp_avg"], "v8": encode_v(s["exp_avg_sq"])} for k, s in sd["state"].items()
    }
    torch.save({"model": model.state_dict(), "state": packed, "groups": sd["param_groups"], "step": step}, path)


def load(path, model, opt):
    ck = torch.load(path)
    model.load_state_dict(ck["model"])
    state = {
        k: {"step": s["step"], "exp_avg": s["exp_avg"], "exp_avg_sq": decode_v(s["v8"])} for k, s in ck["state"].items()
    }
    opt.load_state_dict({"state": state, "param_groups": ck["groups"]})
    return ck["step"]


def build():
    model = nn.Sequential(nn.Linear(6, 64), nn.Softplus(), nn.Linear(64, 64), nn.Softplus(), nn.Linear(64, 2))
    return model, torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)


def train(model, opt, first, last, log):
    for _ in range(first, last):
        x = torch.randn(64, 6)
        y = torch.stack([torch.sin(x[:, 0] + x[:, 1]), x[:, 2] * x[:, 3] + 0.5 * x[:, 4]], 1)
        loss = (model(x) - y).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item())


log = []
with tempfile.TemporaryDirectory() as tmp:
    path = os.path.join(tmp, "ckpt.pt")
    model, opt = build()
    train(model, opt, 0, 240, log)
    save(path, model, opt, 240)
    model, opt = build()  # a new process would start here
    start = load(path, model, opt)
    train(model, opt, start, 420, log)
print("final loss", sum(log[-10:]) / 10)
