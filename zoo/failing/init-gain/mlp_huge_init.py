"""A plain perceptron whose author draws all weights from N(0, 1).

Cause: init-gain
Fails: the loss starts at 1.7e7 and is not finite from step 2 on
First bad: step 2, forward, addmm
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(
    nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)
)
for p in model.parameters():
    nn.init.normal_(p)  # fix: nn.init.normal_(p, std=0.1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(512, 20)
y = torch.sin(x.sum(1, keepdim=True))
for step in range(200):
    rows = torch.randint(0, 512, (64,))
    loss = nn.functional.mse_loss(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(step, loss.item())
print("final loss", nn.functional.mse_loss(model(x), y).item())
