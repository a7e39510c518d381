"""Human-activity recognition from accelerometer windows, tanh MLP on flattened windows.

Cause: saturation
Fails: weights are drawn from N(0,1) without 1/sqrt(fan_in), pre-activations are about 10 to 15 and every tanh is pinned at +-1; validation loss stays above its guess of ln 6 = 1.79 (2.2 at the end)
"""
import torch
import torch.nn as nn
import numpy as np


class Dense(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.W = nn.Parameter(torch.randn(i, o))  # fix: self.W = nn.Parameter(torch.randn(i, o) / i ** 0.5)
        self.b = nn.Parameter(torch.zeros(o))

    def forward(self, x):
        return x @ self.W + self.b


class HAR(nn.Module):
    def __init__(self, n_in, n_cls, h=192):
        super().__init__()
        self.l1, self.l2, self.l3 = Dense(n_in, h), Dense(h, h), Dense(h, h)
        self.cls = nn.Linear(h, n_cls)
        nn.init.zeros_(self.cls.weight)
        nn.init.zeros_(self.cls.bias)

    def forward(self, x):
        h = torch.tanh(self.l1(x))
        h = torch.tanh(self.l2(h))
        h = torch.tanh(self.l3(h))
        return self.cls(h)


def windows(n, rng):
    y = rng.integers(0, 6, n)
    t = np.arange(50) / 50
    X = np.zeros((n, 3, 50))
    f = np.array([1.0, 1.6, 2.2, 2.8, 3.4, 4.0])
    for a in range(3):
        ph = rng.uniform(0, 2 * np.pi, (n, 1))
        X[:, a] = (0.7 + 0.3 * a) * np.sin(2 * np.pi * f[y][:, None] * t + ph) + 0.4 * rng.standard_normal((n, 50))
    X = X.reshape(n, -1)
    return torch.tensor((X - X.mean()) / X.std(), dtype=torch.float32), torch.tensor(y)


def main():
    torch.manual_seed(9)
    rng = np.random.default_rng(9)
    X, y = windows(6000, rng)
    Xv, yv = windows(1000, rng)
    model = HAR(150, 6)
    opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    ce = nn.CrossEntropyLoss()
    for epoch in range(12):
        tot = 0.0
        for b in torch.randperm(6000).split(60):
            loss = ce(model(X[b]), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() / 100
        with torch.no_grad():
            out = model(Xv)
            val = ce(out, yv).item()
        print(f"ep {epoch} train {tot:.4f} val {val:.4f} acc {(out.argmax(1) == yv).float().mean():.3f}")
    print("final loss", val)


if __name__ == "__main__":
    main()
