"""GRU on simulated returns with infinite-variance shocks; Huber loss, squashed inputs, own gradient limiter."""
import numpy as np
import torch
import torch.nn as nn


class Limited(torch.optim.Optimizer):
    """Momentum SGD that rescales the whole gradient to at most a running median of recent norms."""

    def __init__(self, params, lr, momentum=0.9, history=50):
        super().__init__(params, dict(lr=lr, momentum=momentum))
        self.norms, self.history = [], history

    @torch.no_grad()
    def step(self):
        ps = [p for g in self.param_groups for p in g["params"]]
        norm = torch.sqrt(sum(p.grad.square().sum() for p in ps)).item()
        cap = float(np.median(self.norms)) * 2 if self.norms else norm
        self.norms = (self.norms + [norm])[-self.history:]
        factor = min(1.0, cap / (norm + 1e-12))
        for g in self.param_groups:
            for p in g["params"]:
                buf = self.state[p].setdefault("buf", torch.zeros_like(p))
                buf.mul_(g["momentum"]).add_(p.grad, alpha=factor)
                p.sub_(buf, alpha=g["lr"])
        return norm


def returns(n, seed):
    rng = np.random.default_rng(seed)
    r = np.zeros(n)
    for t in range(2, n):
        r[t] = 1.2 * np.tanh(r[t - 1]) - 0.9 * np.tanh(r[t - 2]) + 0.15 * rng.standard_t(1.3)
    return torch.tensor(r, dtype=torch.float32)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        z = torch.sign(x) * torch.log1p(x.abs())
        return self.fc(self.gru(z[..., None])[0][:, -1])[:, 0]


torch.manual_seed(63)
r = returns(6000, 63)
print("largest shock", r.abs().max().item())
net = Net()
opt = Limited(net.parameters(), lr=0.1)
gen = torch.Generator().manual_seed(63)
test = r[5000:].unfold(0, 13, 1)


def huber(w):
    return nn.functional.huber_loss(net(w[:, :12]), w[:, 12], delta=0.3)


with torch.no_grad():
    print("before", huber(test).item())
for step in range(700):
    a = torch.randint(0, 4980, (32, 1), generator=gen)
    loss = huber(r[a + torch.arange(13)])
    opt.zero_grad()
    loss.backward()
    norm = opt.step()
    if step == 450:
        for g in opt.param_groups:
            g["lr"] = 0.02
    if step % 70 == 0:
        print(step, loss.item(), norm)
with torch.no_grad():
    print("final loss", huber(test).item())
