"""Classifies digits with a twelve-layer sigmoid tower in a Trainer class.

Cause: vanishing-depth
Fails: the loss stays at ln 10, the gradient of the first layers is some 1e-9
"""
import torch
from sklearn.datasets import load_digits


class Trainer:
    def __init__(self, model, lr=0.1, batch_size=64):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.bs = batch_size
        self.history = []

    def fit(self, x, y, epochs):
        for epoch in range(epochs):
            total = 0.0
            for i in torch.randperm(len(x)).split(self.bs):
                loss = torch.nn.functional.cross_entropy(self.model(x[i]), y[i])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                total += loss.item() * len(i) / len(x)
            self.history.append(total)
            print("epoch", epoch, "loss", total)


def tower(act, depth=12, width=64):
    layers = [torch.nn.Linear(64, width), act()]
    for _ in range(depth - 1):
        layers += [torch.nn.Linear(width, width), act()]
    for m in layers:
        if isinstance(m, torch.nn.Linear):
            torch.nn.init.xavier_normal_(m.weight)
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))


torch.manual_seed(0)
d = load_digits()
x = torch.tensor(d.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(d.target)
model = tower(torch.nn.Sigmoid)  # fix: model = tower(torch.nn.Tanh)
trainer = Trainer(model, lr=0.02)
trainer.fit(x, y, 15)
print("final loss", trainer.history[-1])
