"""Adding problem, T=40, GRU: sits on the plateau at 0.167 for a while, then drops."""
import torch
import torch.nn as nn

torch.manual_seed(2)


def batch(n, T=40):
    v = torch.rand(n, T)
    m = torch.zeros(n, T)
    i = torch.randint(0, T // 2, (n,))
    j = torch.randint(T // 2, T, (n,))
    m[torch.arange(n), i] = 1; m[torch.arange(n), j] = 1
    return torch.stack([v, m], -1), (v * m).sum(1)


rnn = nn.GRU(2, 64, batch_first=True)
lin = nn.Linear(64, 1)
P = list(rnn.parameters()) + list(lin.parameters())
opt = torch.optim.Adam(P, lr=3e-3)
run = []
for k in range(1100):
    x, y = batch(32)
    pred = lin(rnn(x)[0][:, -1])[:, 0]
    loss = ((pred - y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(P, 1.0)
    opt.step()
    run.append(loss.item())
    if (k + 1) % 100 == 0:
        print("iter", k + 1, "mse", sum(run[-100:]) / 100)
print("final loss", sum(run[-100:]) / 100)
