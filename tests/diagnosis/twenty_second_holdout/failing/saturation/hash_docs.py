"""Semantic hashing: a bag-of-words autoencoder with annealed tanh codes over generated topic documents.

Cause: saturation
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
SEED = 13
rng = np.random.default_rng(SEED)
torch.manual_seed(SEED)

VOCAB, TOPICS, DOCS = 300, 12, 2500
phi = rng.dirichlet(np.full(VOCAB, 0.05), TOPICS)
theta = rng.dirichlet(np.full(TOPICS, 0.2), DOCS)
counts = np.stack([rng.multinomial(rng.integers(40, 120), t @ phi) for t in theta])
bow = torch.tensor(counts, dtype=torch.float32)
feats = torch.log1p(bow)
target = bow / bow.sum(1, keepdim=True)


class HashAE(nn.Module):
    BITS = 24

    def __init__(self):
        super().__init__()
        self.f1 = nn.Linear(VOCAB, 96)
        self.f2 = nn.Linear(96, self.BITS)
        self.g1 = nn.Linear(self.BITS, 96)
        self.g2 = nn.Linear(96, VOCAB)

    def codes(self, x, temperature):
        return torch.tanh(self.f2(torch.tanh(self.f1(x))) / temperature)

    def forward(self, x, temperature):
        return F.log_softmax(self.g2(F.relu(self.g1(self.codes(x, temperature)))), 1)


def temperature_at(step):
    # start soft, harden the bits as training goes on
    return max(1e-4, 0.7 ** step)  # fix: return max(0.3, 0.998 ** step)


ae = HashAE()
opt = torch.optim.SGD(ae.parameters(), lr=0.3, momentum=0.9)
hist = []
for step in range(1200):
    b = torch.from_numpy(rng.integers(0, DOCS, 64))
    lp = ae(feats[b], temperature_at(step))
    kl = (target[b] * (torch.log(target[b] + 1e-9) - lp)).sum(1).mean()
    opt.zero_grad()
    kl.backward()
    nn.utils.clip_grad_norm_(ae.parameters(), 1.0)
    opt.step()
    hist.append(kl.item())
    if step % 100 == 0:
        print(f"step {step:5d} KL {kl.item():.4f}")
print("final loss", float(np.mean(hist[-20:])))
