"""CTC recogniser: conv + BiGRU reading variable-length synthetic 'pen stroke' signals into digit strings."""
import math
import numpy as np
import torch, torch.nn as nn

torch.manual_seed(8); rng = np.random.default_rng(8)
C = 8                       # symbols (blank = 0)
t = np.linspace(0, 1, 10)
glyph = rng.normal(size=(C, 3, 1)) * np.sin(2 * np.pi * rng.integers(1, 4, (C, 3, 1)) * t) + rng.normal(size=(C, 3, 1)) * .5

def render(symbols):
    parts = [rng.normal(0, .1, (3, rng.integers(1, 5)))]
    for s in symbols:
        n = rng.integers(7, 14)
        xs = np.linspace(0, 9, n)
        parts.append(np.stack([np.interp(xs, np.arange(10), glyph[s, c]) for c in range(3)]))
        parts.append(np.zeros((3, rng.integers(0, 4))))
    x = np.concatenate(parts, 1)
    return x + rng.normal(0, .08, x.shape)

def minibatch(n, lo, hi):
    ys = [rng.integers(0, C, rng.integers(lo, hi + 1)) for _ in range(n)]
    xs = [render(y) for y in ys]
    T = max(x.shape[1] for x in xs)
    X = np.zeros((n, 3, T), dtype=np.float32)
    for i, x in enumerate(xs): X[i, :, : x.shape[1]] = x
    il = torch.tensor([(x.shape[1] + 1) // 2 for x in xs])
    return torch.from_numpy(X), torch.tensor(np.concatenate(ys) + 1), il, torch.tensor([len(y) for y in ys])

class Recogniser(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(3, h, 5, stride=2, padding=2), nn.ReLU(), nn.Conv1d(h, h, 3, padding=1), nn.ReLU())
        self.rnn = nn.GRU(h, h, bidirectional=True)
        self.fc = nn.Linear(2 * h, C + 1)
    def forward(self, x):
        z = self.conv(x).permute(2, 0, 1)
        z, _ = self.rnn(z)
        return self.fc(z).log_softmax(-1)

m = Recogniser(); ctc = nn.CTCLoss()
opt = torch.optim.RMSprop(m.parameters(), lr=1e-3, momentum=.0)
sch = torch.optim.lr_scheduler.MultiStepLR(opt, [2500, 3800], .3)
log = []
for i in range(4500):
    lo, hi = (1, 2) if i < 800 else (2, 4) if i < 2000 else (3, 6)     # longer words as it learns
    X, Y, il, yl = minibatch(8, lo, hi)
    loss = ctc(m(X), Y, il, yl)
    opt.zero_grad(); loss.backward()
    nn.utils.clip_grad_norm_(m.parameters(), 5.)
    opt.step(); sch.step()
    log.append(loss.item())
    if i % 300 == 0: print(i, round(float(np.mean(log[-100:])), 4))
print(f"final loss {np.mean(log[-200:]):.4f}")
