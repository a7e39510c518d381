"""Survival from a Titanic-like passenger table read through csv, with missing ages.

Cause: nonfinite-data
Fails: the loss is nan from the first batch that holds a passenger without an age
First bad: step 10, data
"""

import csv
import io
import random

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

random.seed(0)
torch.manual_seed(0)


def passengers_csv(n=900):
    buf = io.StringIO()
    w = csv.writer(buf)
    w.writerow(["Pclass", "Sex", "Age", "SibSp", "Fare", "Survived"])
    for i in range(n):
        pclass, sex = random.choice([1, 2, 3, 3]), random.choice(["male", "male", "female"])
        age = "" if i in (411, 640) else round(random.uniform(1, 70), 1)
        sib, fare = random.choice([0, 0, 0, 1, 2]), round(random.expovariate(pclass / 60.0), 2)
        score = 2.2 * (sex == "female") - 0.8 * (pclass - 2) - 0.02 * (float(age or 30) - 30) - 0.6
        w.writerow([pclass, sex, age, sib, fare, int(random.random() < 1 / (1 + 2.718 ** (-2 * score)))])
    buf.seek(0)
    return buf


def parse(cell):
    if cell == "":
        return float("nan")  # fix: return 30.0
    return float(cell)


rows = list(csv.DictReader(passengers_csv()))
feats = [
    [parse(r["Pclass"]), float(r["Sex"] == "female"), parse(r["Age"]), parse(r["SibSp"]), parse(r["Fare"])]
    for r in rows
]
X = torch.tensor(feats)
y = torch.tensor([float(r["Survived"]) for r in rows])
X = (X - torch.tensor([2.25, 0.33, 35.0, 0.6, 28.0])) / torch.tensor([0.83, 0.47, 20.0, 0.8, 32.0])

loader = DataLoader(TensorDataset(X, y), batch_size=30, shuffle=True)
model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
crit = nn.BCEWithLogitsLoss()
losses = []
for epoch in range(10):
    correct = 0
    for xb, yb in loader:
        logit = model(xb).squeeze(1)
        loss = crit(logit, yb)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        losses.append(loss.item())
        correct += ((logit > 0).float() == yb).sum().item()
    print(f"epoch {epoch} acc {correct / len(rows):.3f}")
print("final loss", sum(losses[-10:]) / 10)
