"""A tower of 32 residual blocks without normalisation on a table of synthetic sensor readings (Nesterov SGD).

Cause: init-gain
Fails: the loss starts at 1.4e7 and is not finite from step 1 on
First bad: step 1, forward, addmm
"""

import torch
import torch.nn as nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        nn.init.kaiming_normal_(self.inner.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.outer.weight, nonlinearity="relu")  # fix: nn.init.zeros_(self.outer.weight)

    def forward(self, h):
        return h + self.outer(torch.relu(self.inner(h)))


class Tower(nn.Module):
    def __init__(self, n_in, width=40, blocks=32):
        super().__init__()
        self.stem = nn.Linear(n_in, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return self.head(h).squeeze(-1)


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True)
        self.criterion = nn.SmoothL1Loss()
        self.log = []

    def fit(self, x, y, epochs, batch_size=50):
        for epoch in range(epochs):
            for idx in torch.randperm(len(x)).split(batch_size):
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(x[idx]), y[idx])
                loss.backward()
                self.optimizer.step()
                self.log.append(loss.item())
            print(f"epoch {epoch}: {self.log[-1]:.4f}")
        return self


torch.manual_seed(21)
X = torch.randn(1000, 9)
Y = torch.tanh(X[:, 0] * 2) + X[:, 1] * X[:, 2] - 0.5 * X[:, 3]
trainer = Trainer(Tower(9), lr=0.005).fit(X, Y, epochs=6)
print("final loss", sum(trainer.log[-10:]) / 10)
