"""A classifier of tumour cells (30 measured features) trained by plain SGD with validation after each epoch.

Cause: input-scale
Fails: the loss jumps to 4e3 and ends at 0.67, where nothing is learned
"""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn


def load(seed):
    cells = load_breast_cancer()
    features = cells.data.astype(np.float32)
    # fix: features = (features - features.mean(0)) / features.std(0)
    order = np.random.default_rng(seed).permutation(len(features))
    x, y = torch.tensor(features[order]), torch.tensor(cells.target[order], dtype=torch.float32)
    return (x[:450], y[:450]), (x[450:], y[450:])


class EarlyHistory:
    def __init__(self):
        self.train, self.valid = [], []

    def report(self, epoch, accuracy):
        self.valid.append(accuracy)
        if epoch % 5 == 0:
            print(f"epoch {epoch:2d}  train {np.mean(self.train[-15:]):.5g}  accuracy {accuracy:.3f}")


torch.manual_seed(1)
(train_x, train_y), (valid_x, valid_y) = load(1)
net = nn.Sequential(nn.Linear(30, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))
sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
criterion = nn.BCEWithLogitsLoss()
history = EarlyHistory()
for epoch in range(40):
    net.train()
    for rows in torch.randperm(450).split(30):
        loss = criterion(net(train_x[rows]).flatten(), train_y[rows])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        history.train.append(loss.item())
    net.eval()
    with torch.no_grad():
        history.report(epoch, ((net(valid_x).flatten() > 0).float() == valid_y).float().mean().item())
print("final loss", np.mean(history.train[-15:]))
