"""Boiler outlet temperature one step ahead, LSTM trained in streaming order.

Cause: outlier-batch
Fails: the loss is not finite from step 289 on (with the fix: final loss 0.0004147)
"""
import torch
import torch.nn as nn

torch.manual_seed(61)

N = 12000
t = torch.arange(N).float()
fuel = torch.sin(t / 17) + 0.5 * torch.sin(t / 5.3)
temp = torch.zeros(N)
for i in range(1, N):
    temp[i] = 0.9 * temp[i - 1] + 0.15 * fuel[i - 1] + 0.02 * torch.randn(())
rec = torch.stack([fuel, temp], 1)
rec[7203, 1] = 8.0e5
# fix: rec = rec.clamp(-5, 5)


def stream(length=20, batch=16):
    i = 0
    while i + batch * length < N:
        block = rec[i:i + batch * length].view(batch, length, 2)
        yield block[:, :-1], block[:, 1:, 1]
        i += 24


class Outlet(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 24, batch_first=True)
        self.skip = nn.Linear(2, 1)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return (self.skip(x) + self.head(self.lstm(x)[0])).squeeze(-1)


net = Outlet()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
window = []
for k, (x, y) in enumerate(stream()):
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    window = (window + [loss.item()])[-30:]
    if k % 60 == 0:
        print(k, sum(window) / len(window))
print("final loss", sum(window) / len(window))
