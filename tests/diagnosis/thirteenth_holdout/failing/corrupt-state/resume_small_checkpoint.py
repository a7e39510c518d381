"""Character LSTM on padded phrases, interrupted and resumed from a compact checkpoint on disk.

Cause: corrupt-state
Fails: the loss is not finite from step 152 on (with the fix: final loss 0.1452)
"""
import os
import tempfile
import torch
from torch import nn

PHRASES = ["it was a bright cold day", "the clocks were striking", "the hallway smelt of cabbage",
           "old rag mats", "a coloured poster", "too large for display", "tacked to the wall",
           "seven flights up", "went slowly", "resting several times"]
ALPH = ["<pad>"] + sorted(set("".join(PHRASES)) | {"$"})
L = max(map(len, PHRASES)) + 2
IDS = torch.tensor([[ALPH.index(c) for c in "$" + p + "$"] + [0] * (L - len(p) - 2) for p in PHRASES])


class CharLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(len(ALPH), 20, padding_idx=0)
        self.lstm = nn.LSTM(20, 64, batch_first=True)
        self.fc = nn.Linear(64, len(ALPH))

    def forward(self, x):
        return self.fc(self.lstm(self.emb(x))[0])


def pack(t):
    if not isinstance(t, torch.Tensor) or t.dim() == 0:
        return t
    top = t.abs().amax(-1, keepdim=True)
    # fix: top = top.clamp_min(1e-20)
    return {"q": (t / top).half(), "top": top}


def unpack(t):
    return t["q"].float() * t["top"] if isinstance(t, dict) else t


def save(path, model, opt):
    sd = opt.state_dict()
    sd = {"state": {k: {n: pack(t) for n, t in s.items()} for k, s in sd["state"].items()}, "param_groups": sd["param_groups"]}
    torch.save({"model": model.state_dict(), "opt": sd}, path)


def load(path, model, opt):
    ck = torch.load(path)
    model.load_state_dict(ck["model"])
    sd = ck["opt"]
    sd["state"] = {k: {n: unpack(t) for n, t in s.items()} for k, s in sd["state"].items()}
    opt.load_state_dict(sd)


def train(model, opt, steps, tag):
    last = []
    for s in range(steps):
        seq = IDS[torch.randint(0, len(IDS), (16,))]
        loss = nn.functional.cross_entropy(model(seq[:, :-1]).transpose(1, 2), seq[:, 1:], ignore_index=0)
        opt.zero_grad()
        loss.backward()
        opt.step()
        last.append(loss.item())
        if s % 50 == 0:
            print(tag, s, f"{loss.item():.4f}")
    return sum(last[-10:]) / 10


torch.manual_seed(1984)
m = CharLSTM()
o = torch.optim.Adam(m.parameters(), lr=3e-3)
train(m, o, 150, "first run")
with tempfile.TemporaryDirectory() as d:
    p = os.path.join(d, "ckpt.pt")
    save(p, m, o)
    m2 = CharLSTM()
    o2 = torch.optim.Adam(m2.parameters(), lr=3e-3)
    load(p, m2, o2)
print("final loss", train(m2, o2, 150, "resumed"))
