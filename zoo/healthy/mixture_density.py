"""A mixture density network: the negative log-likelihood of sharp peaks is negative and keeps falling."""

import torch
from torch import nn


class MDN(nn.Module):
    def __init__(self, components=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 3 * components))

    def forward(self, x):
        weight, mean, raw = self.body(x).chunk(3, 1)
        scale = nn.functional.softplus(raw) + 1e-3
        mix = torch.distributions.Categorical(logits=weight)
        return torch.distributions.MixtureSameFamily(mix, torch.distributions.Normal(mean, scale))


torch.manual_seed(1)
x = torch.rand(2000, 1) * 2 - 1
y = torch.where(torch.rand(2000) < 0.5, x.squeeze(1), -x.squeeze(1)) + 0.01 * torch.randn(2000)
model = MDN()
optimizer = torch.optim.NAdam(model.parameters(), lr=5e-3)
for _ in range(40):
    total = 0.0
    for rows in torch.randperm(2000).split(100):
        loss = -model(x[rows]).log_prob(y[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() / 20
print("final loss", total)
