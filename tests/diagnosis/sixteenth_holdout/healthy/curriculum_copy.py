"""Delayed copy with an LSTM; the sequence length is raised by design and the loss jumps each time."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)


class Copy(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.e, self.r, self.o = nn.Embedding(8, 16), nn.LSTM(16, h, batch_first=True), nn.Linear(h, 6)

    def forward(self, x):
        return self.o(self.r(self.e(x))[0])


net = Copy()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for L, steps in ((1, 150), (2, 300), (3, 500), (4, 700)):
    rec = []
    for s in range(steps):
        tok = torch.randint(0, 6, (64, L))
        x = torch.cat([tok, torch.full((64, L), 7)], 1)
        loss = F.cross_entropy(net(x)[:, L:].flatten(0, 1), tok.flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        rec.append(loss.item())
        if s % 100 == 0:
            print(f"length {L} step {s} loss {loss.item():.4f}")
print(f"final loss {sum(rec[-30:]) / 30:.5f}")
