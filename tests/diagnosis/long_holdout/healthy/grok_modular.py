"""Grokking: modular addition mod 23 with an MLP, full-batch AdamW with strong weight decay, long after memorisation."""
import torch
import torch.nn as nn
torch.manual_seed(17)
P = 23
pairs = torch.cartesian_prod(torch.arange(P), torch.arange(P))
labels = (pairs[:, 0] + pairs[:, 1]) % P
perm = torch.randperm(len(pairs))
ntr = int(.55 * len(pairs))
tr, te = perm[:ntr], perm[ntr:]

class M(nn.Module):
    def __init__(self, d=48, h=96):
        super().__init__()
        self.e = nn.Embedding(P, d)
        self.f1 = nn.Linear(2 * d, h)
        self.f2 = nn.Linear(h, P, bias=False)
    def forward(self, ab):
        return self.f2(torch.relu(self.f1(self.e(ab).flatten(1))))

m = M()
opt = torch.optim.AdamW(m.parameters(), lr=3e-3, weight_decay=1., betas=(.9, .98))
tail = []
for t in range(30000):
    loss = nn.functional.cross_entropy(m(pairs[tr]), labels[tr])
    opt.zero_grad()
    loss.backward()
    opt.step()
    tail.append(loss.item())
    if t % 2000 == 0 or t == 29999:
        with torch.no_grad():
            lg = m(pairs[te]); vl = nn.functional.cross_entropy(lg, labels[te]).item(); va = (lg.argmax(1) == labels[te]).float().mean().item()
        print(f"{t:6d} train {loss.item():.3e} test {vl:.3f} acc {va:.3f}")
print(f"final loss {sum(tail[-300:])/300:.3e}")
