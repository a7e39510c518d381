"""Deep MLP for credit default on a table of applicants (bank style script, class imbalance).

Cause: vanishing-depth
Fails: the loss stays at that of a constant guess (0.50)
"""
import numpy as np
import torch
import torch.nn as nn

np.random.seed(404)
torch.manual_seed(404)

n = 6000
age = np.random.uniform(20, 70, n)
income = np.random.lognormal(10.4, 0.5, n)
debt = np.random.beta(2, 4, n)
late = np.random.poisson(0.8, n)
score = 2.4 * late + 7 * debt - 1.8 * (np.log(income) - 10.4) - 0.03 * (age - 45)
default = (score + np.random.normal(0, 0.6, n) > np.quantile(score, 0.8)).astype(np.float32)
X = np.column_stack([age, np.log(income), debt, late])
X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
X, y = torch.from_numpy(X), torch.from_numpy(default)


def build_model(n_in, width=48, depth=14):
    act = nn.Tanh
    layers, d = [], n_in
    for _ in range(depth):
        layers += [nn.Linear(d, width), act()]
        d = width
    layers.append(nn.Linear(d, 1))
    model = nn.Sequential(*layers)
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, 0.0, 0.02)  # fix: nn.init.xavier_normal_(m.weight)
            nn.init.zeros_(m.bias)
    return model


model = build_model(X.shape[1])
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
history = []
for epoch in range(8):
    for idx in torch.randperm(n).split(64):
        loss = criterion(model(X[idx]).squeeze(1), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print("Epoch", epoch, "loss", round(float(np.mean(history[-90:])), 4))
print("final loss", float(np.mean(history[-90:])))
