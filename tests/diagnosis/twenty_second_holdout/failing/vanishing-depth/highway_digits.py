"""Highway network with 30 layers classifies the 8x8 digits of scikit-learn (port of an old Theano recipe).

Cause: vanishing-depth
"""
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch.set_num_threads(1)
torch.manual_seed(7)

X, y = load_digits(return_X_y=True)
X = (X / 16.0 - 0.3).astype(np.float32)
Xtr, Xte, ytr, yte = map(torch.from_numpy, train_test_split(X, y, test_size=0.25, random_state=7))

UNITS, LAYERS = 40, 30
CARRY_BIAS = 2.5  # fix: CARRY_BIAS = -2.5


class Highway(torch.nn.Module):
    """y = T * H + (1 - T) * x"""

    def __init__(self, n):
        super().__init__()
        self.H = torch.nn.Linear(n, n)
        self.T = torch.nn.Linear(n, n)
        torch.nn.init.constant_(self.T.bias, CARRY_BIAS)

    def forward(self, x):
        t = torch.sigmoid(self.T(x))
        return t * torch.tanh(self.H(x)) + (1 - t) * x


net = torch.nn.Sequential(torch.nn.Linear(64, UNITS), torch.nn.Tanh(),
                          *[Highway(UNITS) for _ in range(LAYERS)],
                          torch.nn.Linear(UNITS, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
sched = torch.optim.lr_scheduler.MultiStepLR(opt, [450], 0.2)
it = 0
for epoch in range(14):
    perm = torch.randperm(len(Xtr))
    for b in perm.split(32):
        loss = torch.nn.functional.cross_entropy(net(Xtr[b]), ytr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        it += 1
    with torch.no_grad():
        out = net(Xte)
        val = torch.nn.functional.cross_entropy(out, yte).item()
        print(f"epoch {epoch:2d} it {it} train {loss.item():.4f} val {val:.4f} acc {(out.argmax(1) == yte).float().mean():.3f}")
print("final loss", val)
