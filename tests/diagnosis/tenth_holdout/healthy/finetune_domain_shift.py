"""LSTM language model trained on one register, then moved to another with the body frozen for a while; loss leaps at the change."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(70)
rng = np.random.default_rng(70)
V, T, B = 120, 24, 24
rules = [rng.integers(0, V, (V, 2)) for _ in range(2)]


def batch(domain):
    out = np.zeros((B, T + 1), dtype=np.int64)
    out[:, 0] = rng.integers(0, V, B)
    for t in range(T):
        out[:, t + 1] = np.where(rng.random(B) < 0.93, rules[domain][out[:, t], rng.integers(0, 2, B)], rng.integers(0, V, B))
    return torch.tensor(out)


class LM(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.emb = nn.Embedding(V, h)
        self.rnn = nn.LSTM(h, h, batch_first=True)
        self.out = nn.Linear(h, V)

    def forward(self, x):
        return self.out(self.rnn(self.emb(x))[0])


model = LM()
hist = []


def run(domain, steps, params, lr):
    opt = torch.optim.AdamW(params, lr=lr)
    for _ in range(steps):
        tok = batch(domain)
        loss = F.cross_entropy(model(tok[:, :-1]).reshape(-1, V), tok[:, 1:].reshape(-1))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        hist.append(loss.item())
    print("domain", domain, "steps", len(hist), "loss", np.mean(hist[-10:]))


run(0, 250, list(model.parameters()), 6e-3)
for p in [*model.emb.parameters(), *model.rnn.parameters()]:
    p.requires_grad_(False)
run(1, 80, list(model.out.parameters()), 3e-3)
for p in model.parameters():
    p.requires_grad_(True)
run(1, 250, list(model.parameters()), 4e-3)
print("final loss", float(np.mean(hist[-20:])))
