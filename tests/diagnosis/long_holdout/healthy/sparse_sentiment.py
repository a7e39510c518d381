"""Bag-of-words sentiment with a zipfian vocabulary: sparse embeddings (SparseAdam) plus a dense Adagrad head."""
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)
VOCAB, STEPS, BS = 20000, 20000, 32
p = 1 / np.arange(1, VOCAB + 1) ** 1.05
p /= p.sum(); cdf = np.cumsum(p)
polarity = rng.normal(0, 1, VOCAB) * (rng.random(VOCAB) < .3)
polarity[:60] = 0  # function words

def make(n):
    docs, offs, ys, pos = [], [], [], 0
    for _ in range(n):
        L = int(np.clip(rng.lognormal(2.9, .6), 4, 120))
        w = np.minimum(np.searchsorted(cdf, rng.random(L)), VOCAB - 1)
        s = polarity[w].sum() / np.sqrt(L) * 3 + rng.normal(0, .3)
        docs.append(w); offs.append(pos); pos += L; ys.append(float(s > 0))
    return torch.from_numpy(np.concatenate(docs)), torch.tensor(offs), torch.tensor(ys)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(VOCAB, 16, mode="mean", sparse=True)
        nn.init.normal_(self.bag.weight, std=.05)
        self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    def forward(self, w, o): return self.head(self.bag(w, o)).squeeze(-1)

net = Net(); lossf = nn.BCEWithLogitsLoss()
opt_e = torch.optim.SparseAdam(net.bag.parameters(), lr=2e-3)
opt_h = torch.optim.Adagrad(net.head.parameters(), lr=.02)
test = make(2000)
losses = []
for it in range(STEPS):
    w, o, y = make(BS)
    loss = lossf(net(w, o), y)
    opt_e.zero_grad(); opt_h.zero_grad()
    loss.backward()
    opt_e.step(); opt_h.step()
    losses.append(loss.item())
    if it == int(STEPS * .7):
        for g in opt_e.param_groups: g["lr"] /= 5
    if it % 2000 == 0:
        with torch.no_grad():
            lg = net(test[0], test[1])
        print(it, "train %.4f" % np.mean(losses[-500:]), "test %.4f" % lossf(lg, test[2]).item(),
              "acc %.3f" % ((lg > 0).float() == test[2]).float().mean().item())
print("final loss %.4f" % np.mean(losses[-1000:]))
