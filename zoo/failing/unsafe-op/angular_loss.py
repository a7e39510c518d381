"""Direction estimation: a network predicts a unit vector, the loss is the angle to the true one.

Cause: unsafe-op
Fails: the loss is not finite from step 53 on
First bad: step 52, backward, acos
"""

import torch
from torch import nn

torch.manual_seed(10)


def batch(n):
    """Noisy readings of three sensors, and the direction that they point to."""
    direction = nn.functional.normalize(torch.randn(n, 3), dim=1)
    gains = torch.tensor([[1.0, 0.2, 0.0, -0.5], [0.1, 1.0, 0.3, 0.4], [0.0, -0.2, 1.0, 0.6]])
    return direction @ gains, direction


model = nn.Sequential(nn.Linear(4, 32), nn.SELU(), nn.Linear(32, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
history = []
for step in range(400):
    readings, truth = batch(48)
    guess = nn.functional.normalize(model(readings), dim=1)
    cosine = (guess * truth).sum(1)
    angle = torch.acos(cosine)  # fix: angle = torch.acos(cosine.clamp(-0.99999, 0.99999))
    loss = angle.mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
print("final loss", sum(history[-10:]) / 10)
