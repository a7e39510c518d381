"""CTC recogniser of keystroke sounds; it sits on the all-blank plateau for a good while before it learns."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(83)
rng = np.random.default_rng(83)
K, FEAT = 6, 8
proto = rng.normal(size=(K, FEAT))


def batch(n=24):
    xs = rng.normal(0, 0.3, (n, 30, FEAT))
    labels, lens = [], []
    for b in range(n):
        m = rng.integers(2, 5)
        pos = np.sort(rng.choice(np.arange(0, 28, 4), m, replace=False))
        keys = rng.integers(0, K, m)
        for p, k in zip(pos, keys):
            xs[b, p:p + 2] += proto[k]
        labels += list(keys + 1)
        lens.append(m)
    return torch.tensor(xs, dtype=torch.float32), torch.tensor(labels), torch.tensor(lens)


class Net(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.rnn = nn.GRU(FEAT, h, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * h, K + 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0]).log_softmax(-1)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
hist = []
for step in range(400):
    x, lab, lens = batch()
    lp = net(x).transpose(0, 1)
    loss = F.ctc_loss(lp, lab, torch.full((24,), 30), lens, blank=0)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    hist.append(loss.item())
    if step % 40 == 0:
        print(step, loss.item())
print("final loss", float(np.mean(hist[-20:])))
