"""Trains a GRU next-token model kept entirely in 16 bits with Adam.

Cause: half-overflow
Fails: the loss is NaN from the second step on
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)
torch.set_num_threads(1)
V, T = 30, 20
g = torch.Generator().manual_seed(2)
table = torch.stack([torch.randperm(V, generator=g)[:2] for _ in range(V)])


def stream(n):
    x = torch.randint(0, V, (n,), generator=g)
    out = [x]
    for _ in range(T):
        pick = (torch.rand(n, generator=g) < 0.2).long()
        x = table[x, pick]
        out.append(x)
    return torch.stack(out, 1)


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.rnn, self.out = nn.Embedding(V, 32), nn.GRU(32, 64, batch_first=True), nn.Linear(64, V)

    def forward(self, x):
        return self.out(self.rnn(self.emb(x))[0])


model = LM()
model = model.half()  # fix: model = model.float()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(250):
    s = stream(16)
    logits = model(s[:, :-1])
    loss = F.cross_entropy(logits.float().reshape(-1, V), s[:, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 25 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    s = stream(128)
    print("final loss", F.cross_entropy(model(s[:, :-1]).float().reshape(-1, V), s[:, 1:].reshape(-1)).item())
