"""Trains an MLP classifier on the wine table from scikit-learn.
Cause: input-scale
Fails: the first loss is far above ln(3), spikes in the first steps, and then sits at the class entropy.
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler, FunctionTransformer

torch.manual_seed(1)
raw = load_wine()
Xtr, Xte, ytr, yte = train_test_split(raw.data, raw.target, test_size=0.25, random_state=0, stratify=raw.target)
scaler = FunctionTransformer()  # fix: scaler = StandardScaler()
Xtr = torch.tensor(scaler.fit_transform(Xtr), dtype=torch.float32)
Xte = torch.tensor(scaler.transform(Xte), dtype=torch.float32)
ytr, yte = torch.tensor(ytr), torch.tensor(yte)

net = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
ce = nn.CrossEntropyLoss()
for epoch in range(200):
    order = torch.randperm(len(Xtr))
    acc = []
    for b in order.split(16):
        loss = ce(net(Xtr[b]), ytr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        acc.append(loss.item())
    if epoch % 25 == 0:
        print("epoch", epoch, "train", round(sum(acc) / len(acc), 4))
with torch.no_grad():
    print("test loss", round(ce(net(Xte), yte).item(), 4))
print("final loss", round(sum(acc) / len(acc), 4))
