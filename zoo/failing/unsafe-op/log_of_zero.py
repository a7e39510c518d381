"""Policy distillation with a hand-written cross-entropy: log of a softmax that underflows to zero.

Cause: unsafe-op
Fails: the loss is not finite from step 126 on
First bad: step 126, loss, log
"""

import torch
from torch import nn

torch.manual_seed(0)
student = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 5))
teacher = torch.randn(10, 5)
optimizer = torch.optim.SGD(student.parameters(), lr=0.5)
history = []
for step in range(400):
    x = torch.randn(32, 10)
    scale = 1.0 if step < 120 else 1.0 + (step - 120)
    goal = torch.softmax(scale * (x @ teacher), 1)
    output = torch.softmax(scale * student(x), 1)
    loss = -(goal * output.log()).sum(1).mean()  # fix: loss = -(goal * torch.log_softmax(scale * student(x), 1)).sum(1).mean() / scale**2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
print("final loss", sum(history[-10:]) / 10)
