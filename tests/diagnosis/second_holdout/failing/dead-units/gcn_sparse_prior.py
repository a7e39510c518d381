"""Classifies the nodes of a stochastic block graph with a two-layer GCN written by hand.

Cause: dead-units
Fails: biases set negative for sparse activity switch every hidden unit off on every node
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
N, C, FDIM = 400, 4, 32
label = torch.arange(N) % C
p = torch.where(label[:, None] == label[None], 0.06, 0.008)
adj = torch.bernoulli(p).triu(1)
adj = adj + adj.T + torch.eye(N)
dinv = adj.sum(1).rsqrt()
A = dinv[:, None] * adj * dinv[None]
feat = F.one_hot(label, C).float() @ torch.randn(C, FDIM) * 0.5 + torch.randn(N, FDIM)
train_mask = torch.rand(N) < 0.5


class GraphConv(nn.Module):
    def __init__(self, i, o, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(i, o))
        self.bias = nn.Parameter(torch.full((o,), bias))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x):
        return A @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, hidden=32, sparsity=-4.0):  # fix: def __init__(self, hidden=32, sparsity=0.0):
        super().__init__()
        self.g1 = GraphConv(FDIM, hidden, sparsity)
        self.g2 = GraphConv(hidden, hidden, sparsity)
        self.g3 = GraphConv(hidden, C, 0.0)

    def forward(self, x):
        return self.g3(F.relu(self.g2(F.relu(self.g1(x)))))


model = GCN()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
for epoch in range(200):
    model.train()
    optimizer.zero_grad()
    out = model(feat)
    loss = F.cross_entropy(out[train_mask], label[train_mask])
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        acc = (out.argmax(1) == label)[~train_mask].float().mean()
        print(f"Epoch: {epoch:03d}, Loss: {loss.item():.4f}, Test: {acc.item():.4f}")
print("final loss", loss.item())
