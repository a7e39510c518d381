"""Adding problem (sum of two marked numbers) for an LSTM, the sequences get longer on the way."""
import torch
import torch.nn as nn

torch.manual_seed(13)


def batch(n, T):
    v = torch.rand(n, T)
    m = torch.zeros(n, T)
    a = torch.randint(T // 2, (n,))
    b = T // 2 + torch.randint(T - T // 2, (n,))
    r = torch.arange(n)
    m[r, a] = 1
    m[r, b] = 1
    return torch.stack([v, m], -1), (v * m).sum(1)


class Adder(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.lstm = nn.LSTM(2, h, batch_first=True)
        self.out = nn.Linear(h, 1)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1]).squeeze(1)


def evaluate(model, T, n=2000):
    with torch.no_grad():
        x, y = batch(n, T)
        mse = nn.functional.mse_loss(model(x), y).item()
    return mse, mse / y.var().item()


stages = [(4, 120), (8, 120), (14, 120), (20, 160)]
net = Adder()
opt = torch.optim.Adam(net.parameters(), lr=6e-3)
step = 0
for T, n in stages:
    for k in range(n):
        x, y = batch(64, T)
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        step += 1
        if k % 40 == 0:
            print(f"T={T} step {step} mse {loss.item():.5f}")

for T, _ in stages:
    mse, ratio = evaluate(net, T)
    print(f"T={T} mse {mse:.5f} relative {ratio:.4f}")
print(f"final relative mse on the longest: {ratio:.4f}")
