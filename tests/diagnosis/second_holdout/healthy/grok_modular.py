"""Modular addition: the validation loss doubles and takes long to come back while the training loss is small already."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
P = 23
a, b = torch.meshgrid(torch.arange(P), torch.arange(P), indexing="ij")
pairs, target = torch.stack([a.flatten(), b.flatten()], 1), (a + b).flatten() % P
perm = torch.randperm(len(pairs))
tr, te = perm[:420], perm[420:]


class Net(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.e = nn.Embedding(P, d)
        self.l1 = nn.Linear(2 * d, 128)
        self.l2 = nn.Linear(128, P)

    def forward(self, p):
        return self.l2(F.relu(self.l1(self.e(p).flatten(1))))


net = Net()
nn.init.normal_(net.e.weight, std=0.02)
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1.0)
for step in range(2500):
    loss = F.cross_entropy(net(pairs[tr]), target[tr])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 250 == 0:
        with torch.no_grad():
            val = F.cross_entropy(net(pairs[te]), target[te]).item()
        print(step, "train", loss.item(), "val", val)
print("final loss", loss.item())
