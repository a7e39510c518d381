"""Streaming regression with purposely re-initialised output layer and shrink-and-perturb at every new regime; the batch size doubles on the way."""
import torch
from torch import nn

torch.set_num_threads(1)
g = torch.Generator().manual_seed(44)
torch.manual_seed(44)


def series(n, regime):
    """nonlinear AR with regime-dependent coefficients"""
    a = [0.9, -0.7, 0.4][regime]
    x = torch.zeros(n)
    for i in range(2, n):
        x[i] = a * torch.sin(2 * x[i - 1]) + 0.3 * x[i - 2] + 0.1 * torch.randn((), generator=g)
    return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(1, 32, batch_first=True, nonlinearity="tanh")
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.rnn(x[..., None])[0])[..., 0]


@torch.no_grad()
def shrink_and_perturb(m, keep=0.4, sigma=0.02):
    for q in m.parameters():
        q.mul_(keep).add_(torch.randn(q.shape, generator=g), alpha=sigma)
    m.head.reset_parameters()


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
rows, step, bs = [], 0, 8
for regime in range(3):
    x = series(2500, regime)
    if regime:
        shrink_and_perturb(net)
        opt = torch.optim.Adam(net.parameters(), lr=5e-3)
        bs *= 2
    for _ in range(250):
        i = torch.randint(0, 2500 - 32, (bs,), generator=g)
        w = torch.stack([x[j:j + 32] for j in i])
        loss = (net(w[:, :-1]) - w[:, 1:])[:, 4:].square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        rows.append(loss.item())
        if step % 50 == 0:
            print(f"regime {regime} step {step} batch {bs} mse {loss.item():.5f}")
        step += 1
print("final loss", sum(rows[-20:]) / 20)
