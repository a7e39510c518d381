"""An LSTM language model with tied input and output embeddings, variational dropout and an EMA copy for evaluation."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(25)
V, D = 20, 32
table = torch.randint(0, V, (V, V))


def stream(n=24, length=25):
    s = [torch.randint(0, V, (n,)), torch.randint(0, V, (n,))]
    for _ in range(length - 2):
        nxt = table[s[-1] % 5, s[-2] % 7]
        s.append(torch.where(torch.rand(n) < 0.1, torch.randint(0, V, (n,)), nxt))
    return torch.stack(s, 1)


class TiedLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, D)
        self.lstm = nn.LSTM(D, D, batch_first=True)
        self.dec = nn.Linear(D, V)
        self.dec.weight = self.emb.weight

    def forward(self, x):
        e = self.emb(x)
        if self.training:
            e = e * (torch.rand(x.shape[0], 1, D) > 0.1) / 0.9
        return self.dec(self.lstm(e)[0])


model = TiedLM()
ema = copy.deepcopy(model).eval()
opt = torch.optim.Adam(model.parameters(), lr=8e-3, betas=(0.9, 0.99))
losses = []
for step in range(300):
    s = stream()
    loss = F.cross_entropy(model(s[:, :-1]).flatten(0, 1), s[:, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    opt.step()
    with torch.no_grad():
        for pe, pm in zip(ema.parameters(), model.parameters()):
            pe.lerp_(pm, 0.02)
    losses.append(loss.item())
with torch.no_grad():
    s = stream(64)
    print("ema loss", F.cross_entropy(ema(s[:, :-1]).flatten(0, 1), s[:, 1:].flatten()).item())
print("final loss", sum(losses[-10:]) / 10)
