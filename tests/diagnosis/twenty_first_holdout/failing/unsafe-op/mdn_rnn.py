"""Trains a mixture-density LSTM in the style of World Models on noisy pendulum tracks.

Cause: unsafe-op
Fails: the loss falls at first, then turns inf and NaN
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
torch.set_num_threads(1)
M = 5


def tracks(n, g, T=40):
    th, om, out = torch.rand(n, generator=g) * 4 - 2, torch.rand(n, generator=g) * 2 - 1, []
    for _ in range(T):
        kick = (torch.rand(n, generator=g) < 0.0005).float() * 3.0 * torch.randn(n, generator=g).sign()
        om = om - 0.2 * torch.sin(th) - 0.02 * om + kick
        th = th + 0.2 * om
        out.append(torch.stack([torch.sin(th), torch.cos(th), om], 1))
    return torch.stack(out, 1)


class MDNRNN(nn.Module):
    def __init__(self, h=48):
        super().__init__()
        self.rnn = nn.LSTM(3, h, batch_first=True)
        self.mdn = nn.Linear(h, 3 * 3 * M)

    def forward(self, x):
        z = self.mdn(self.rnn(x)[0]).view(x.size(0), x.size(1), 3, 3 * M)
        logpi, mu, logs = z.chunk(3, -1)
        return F.log_softmax(logpi, -1), mu, torch.exp(logs)


def mdn_loss(out, y):
    logpi, mu, sigma = out
    y = y.unsqueeze(-1)
    logp = -0.5 * ((y - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -torch.log((logpi.exp() * logp.exp()).sum(-1)).mean()  # fix: return -torch.logsumexp(logpi + logp, -1).mean()


g = torch.Generator().manual_seed(1)
data, val = tracks(600, g), tracks(100, g)
model = MDNRNN()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
for step in range(400):
    b = data[torch.randint(0, 600, (16,), generator=g)]
    loss = mdn_loss(model(b[:, :-1]), b[:, 1:])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if step % 40 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", mdn_loss(model(val[:, :-1]), val[:, 1:]).item())
