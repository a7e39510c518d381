"""Principal directions of a data set by stochastic gradient ascent on the captured variance; raw tensors only.

Cause: weight-growth
Fails: the directions grow without end and the loss falls to -1e12
"""

import torch

torch.manual_seed(3)
spectrum = torch.linspace(2.0, 0.2, 20)
rotation = torch.linalg.qr(torch.randn(20, 20)).Q
data = (torch.randn(4000, 20) * spectrum) @ rotation.t()

directions = torch.randn(20, 3)
directions = (directions / directions.norm(dim=0)).requires_grad_()
rate = 0.02
captured = []

for step in range(300):
    sample = data[torch.randint(0, 4000, (64,))]
    projection = sample @ directions
    overlap = directions.t() @ directions
    loss = -projection.square().mean() + 0.1 * (overlap - overlap.diag().diag()).square().mean() / overlap.diag().mean()
    loss.backward()
    with torch.no_grad():
        directions -= rate * directions.grad
        # fix: directions /= directions.norm(dim=0)
        directions.grad = None
    captured.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}: {captured[-1]:.4g}")

print("final loss", sum(captured[-10:]) / 10)
