"""Regresses the Friedman benchmark function with a deep plain multilayer perceptron.

Cause: init-gain
Fails: the first loss is astronomically large and the weights become NaN
"""
import torch
from torch import nn
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import StandardScaler

torch.manual_seed(42)
X, y = make_friedman1(n_samples=4000, n_features=10, noise=0.5, random_state=42)
X = torch.tensor(StandardScaler().fit_transform(X), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32).unsqueeze(1)
Xt, yt, Xv, yv = X[:3500], y[:3500], X[3500:], y[3500:]


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, mean=0.0, std=0.25)  # fix: nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)


layers = [nn.Linear(10, 128), nn.ReLU()]
for _ in range(14):
    layers += [nn.Linear(128, 128), nn.ReLU()]
layers += [nn.Linear(128, 1)]
model = nn.Sequential(*layers)
model.apply(init_weights)

optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
criterion = nn.MSELoss()
for step in range(600):
    idx = torch.randint(0, len(Xt), (64,))
    optimizer.zero_grad()
    loss = criterion(model(Xt[idx]), yt[idx])
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step:4d}  mse {loss.item():.5g}")

with torch.no_grad():
    print("final loss", criterion(model(Xv), yv).item())
