"""Next-value prediction of a noisy two-tone signal with a GRU; the update is written out by hand.

Cause: learning-rate
Fails: the loss is not finite from step 12 on
First bad: step 12, loss, mse_loss
"""

import torch
from torch import nn

torch.manual_seed(13)
time = torch.arange(3000.0)
signal = torch.sin(time / 5) + 0.6 * torch.sin(time / 17 + 1) + 0.1 * torch.randn(3000)
signal = (signal - signal.mean()) / signal.std()

gru = nn.GRU(1, 24, batch_first=True)
head = nn.Linear(24, 1)
params = [*gru.parameters(), *head.parameters()]
lr = 4.0  # fix: lr = 0.1
track = []
for it in range(250):
    begin = torch.randint(0, 3000 - 33, (20,)).tolist()
    chunk = torch.stack([signal[b : b + 33] for b in begin]).unsqueeze(-1)
    out, _ = gru(chunk[:, :-1])
    loss = nn.functional.mse_loss(head(out), chunk[:, 1:])
    grads = torch.autograd.grad(loss, params)
    with torch.no_grad():
        for p, g in zip(params, grads):
            p -= lr * g
    track.append(loss.item())
print("final loss", sum(track[-10:]) / 10)
