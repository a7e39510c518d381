"""A ReLU RNN with orthogonal weights of gain 1.8 over 60 time steps: the adding problem.

Cause: recurrent-gain
Fails: the loss starts at 6.8e5 and is not finite from step 1 on
First bad: step 1, forward, addmm
"""

import torch
from torch import nn

torch.manual_seed(0)
rnn = nn.RNN(2, 48, nonlinearity="relu", batch_first=True)
nn.init.orthogonal_(rnn.weight_hh_l0, gain=1.8)  # fix: nn.init.orthogonal_(rnn.weight_hh_l0, gain=1.0)
head = nn.Linear(48, 1)
optimizer = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.01)
curve = []
for _ in range(150):
    values = torch.rand(32, 60)
    marks = torch.zeros(32, 60)
    marks[:, 5] = marks[:, 40] = 1
    states, _ = rnn(torch.stack([values, marks], -1))
    loss = nn.functional.mse_loss(head(states[:, -1]).squeeze(-1), (values * marks).sum(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
print("final loss", sum(curve[-10:]) / 10)
