"""Eleven-layer MLP on sklearn digits, coursework style.

Cause: vanishing-depth
Fails: final accuracy 0.08222 (with the fix 0.8911)
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.manual_seed(123)
digits = load_digits()
Xtr, Xte, ytr, yte = train_test_split(digits.data / 16.0, digits.target, test_size=0.25, random_state=0)
Xtr, Xte = torch.FloatTensor(Xtr), torch.FloatTensor(Xte)
ytr, yte = torch.LongTensor(ytr), torch.LongTensor(yte)

Act = nn.Sigmoid  # fix: Act = nn.ReLU

layers = [nn.Linear(64, 64), Act()]
for _ in range(9):
    layers += [nn.Linear(64, 64), Act()]
layers.append(nn.Linear(64, 10))
model = nn.Sequential(*layers)
for m in model:
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight)
        nn.init.zeros_(m.bias)

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)

for epoch in range(12):
    perm = torch.randperm(len(Xtr))
    for i in range(0, len(Xtr), 32):
        b = perm[i:i + 32]
        optimizer.zero_grad()
        loss = criterion(model(Xtr[b]), ytr[b])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        acc = (model(Xte).argmax(1) == yte).float().mean().item()
    print("epoch", epoch, "loss", loss.item(), "test acc", acc)
print("final accuracy", acc)
