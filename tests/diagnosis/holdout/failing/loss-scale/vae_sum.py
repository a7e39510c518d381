"""A VAE on noisy bars-and-stripes images, the classic pytorch/examples recipe.

Cause: loss-scale
Fails: the ELBO is summed over batch and pixels under a rate chosen for the mean, the loss explodes and is nan after some steps
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(1)
SIDE = 8


def bars(n):
    rows = (torch.rand(n, SIDE, 1) < 0.4).float().expand(n, SIDE, SIDE)
    cols = (torch.rand(n, 1, SIDE) < 0.4).float().expand(n, SIDE, SIDE)
    pick = (torch.rand(n, 1, 1) < 0.5).float()
    img = pick * rows + (1 - pick) * cols
    flip = (torch.rand(n, SIDE, SIDE) < 0.03).float()
    return (img - flip).abs().view(n, -1)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(SIDE * SIDE, 100)
        self.fc21 = nn.Linear(100, 10)
        self.fc22 = nn.Linear(100, 10)
        self.fc3 = nn.Linear(10, 100)
        self.fc4 = nn.Linear(100, SIDE * SIDE)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.fc4(F.relu(self.fc3(z))), mu, logvar


def loss_function(logits, x, mu, logvar):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    total = bce + kld
    return total  # fix: return total / x.size(0)


model = VAE()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
data = bars(4096)
history = []
for epoch in range(1, 6):
    model.train()
    for x in data[torch.randperm(4096)].split(64):
        optimizer.zero_grad()
        recon, mu, logvar = model(x)
        loss = loss_function(recon, x, mu, logvar)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print(f"====> Epoch: {epoch} last loss: {history[-1]:.4f}")
print("final loss", sum(history[-10:]) / 10)
