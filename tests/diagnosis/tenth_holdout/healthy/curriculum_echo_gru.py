"""GRU that repeats a symbol sequence after a delay; every stage of the length curriculum throws the loss up again."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(100)
V = 8


class Echo(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.emb = nn.Embedding(V + 2, 32)
        self.gru = nn.GRU(32, h, batch_first=True)
        self.out = nn.Linear(h, V)

    def forward(self, x):
        return self.out(self.gru(self.emb(x))[0])


def batch(n, length):
    s = torch.randint(0, V, (n, length))
    x = torch.cat([s, torch.full((n, 1), V), torch.full((n, length - 1), V + 1)], 1) if length > 1 else torch.cat([s, torch.full((n, 1), V)], 1)
    return x, s


net = Echo()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
hist = []
for length, steps in ((1, 120), (2, 250), (3, 350), (4, 400)):
    for _ in range(steps):
        x, s = batch(48, length)
        logits = net(x)[:, length:]
        loss = F.cross_entropy(logits.reshape(-1, V), s.reshape(-1))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        hist.append(loss.item())
    print("length", length, "loss", np.mean(hist[-20:]))
print("final loss", float(np.mean(hist[-20:])))
