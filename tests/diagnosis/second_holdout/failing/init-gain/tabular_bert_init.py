"""Trains a deep MLP on a synthetic credit-scoring table, kaggle style.

Cause: init-gain
Fails: the loss stays at ln 2, the signal shrinks in every layer
"""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

CFG = dict(seed=42, n_hidden=8, width=128, lr=0.05, epochs=12, batch=128, init_std=0.02)

np.random.seed(CFG["seed"])
torch.manual_seed(CFG["seed"])

X, y = make_classification(4000, 24, n_informative=12, class_sep=1.5, random_state=CFG["seed"])
X = StandardScaler().fit_transform(X).astype("float32")
X, y = torch.from_numpy(X), torch.from_numpy(y.astype("float32"))


def init_weights(module):
    # same recipe as the BERT repo
    if isinstance(module, nn.Linear):
        module.weight.data.normal_(mean=0.0, std=CFG["init_std"])  # fix: nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        module.bias.data.zero_()


dims = [X.shape[1]] + [CFG["width"]] * CFG["n_hidden"]
layers = []
for i, o in zip(dims[:-1], dims[1:]):
    layers += [nn.Linear(i, o), nn.ReLU()]
model = nn.Sequential(*layers, nn.Linear(CFG["width"], 1))
model.apply(init_weights)

optimizer = torch.optim.SGD(model.parameters(), lr=CFG["lr"])
loss_fn = nn.BCEWithLogitsLoss()
for ep in range(CFG["epochs"]):
    perm = torch.randperm(len(X))
    losses = []
    for i in range(0, len(X), CFG["batch"]):
        idx = perm[i:i + CFG["batch"]]
        optimizer.zero_grad()
        loss = loss_fn(model(X[idx]).squeeze(-1), y[idx])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"Epoch {ep + 1:02d} | train logloss {np.mean(losses):.5f}")
print("final loss", float(np.mean(losses)))
