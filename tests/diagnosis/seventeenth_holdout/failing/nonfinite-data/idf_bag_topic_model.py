"""Trains a topic classifier on tf-idf weighted bags of words; idf comes from the training counts.
Cause: nonfinite-data
Fails: nan within a few steps, as soon as a batch holds a word absent from the training counts; it stays nan.
"""
import torch
import torch.nn as nn

torch.manual_seed(29)
V, K, N = 300, 6, 2000
topics = torch.distributions.Dirichlet(torch.full((V - 4,), 0.08)).sample((K,))
y = torch.randint(0, K, (N,))
docs = torch.zeros(N, V)
for i in range(N):
    w = torch.multinomial(topics[y[i]], 40, replacement=True)
    docs[i, :V - 4] = torch.bincount(w, minlength=V - 4).float()
train, stream = docs[:1000], docs
stream[1400, V - 1] = 2.0
stream[1811, V - 3] = 1.0

df = (train > 0).sum(0).float()
idf = torch.log(len(train) / df)  # fix: idf = torch.log((1 + len(train)) / (1 + df)) + 1
tf = stream / stream.sum(1, keepdim=True)
X = torch.where(stream > 0, tf * idf, torch.zeros(()))

net = nn.Sequential(nn.Linear(V, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, K))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
for epoch in range(15):
    s = []
    for b in torch.randperm(N).split(32):
        loss = nn.functional.cross_entropy(net(X[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s.append(loss.item())
    if epoch % 2 == 0:
        print("epoch", epoch, round(sum(s) / len(s), 4))
print("final loss", round(sum(s[-20:]) / 20, 4))
