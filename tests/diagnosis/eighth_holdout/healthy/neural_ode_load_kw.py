"""ODE-RNN of irregularly sampled grid load; the loss is reported in kW squared, so in the tens of thousands."""
import torch
import torch.nn as nn


class ODERNN(nn.Module):
    def __init__(self, h=32, mean=0.0, std=1.0):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(h, h), nn.Tanh(), nn.Linear(h, h))
        self.cell = nn.GRUCell(1, h)
        self.out = nn.Linear(h, 1)
        self.mean, self.std = mean, std

    def evolve(self, h, dt):
        for _ in range(2):
            k = self.f(h)
            h = h + 0.5 * dt * self.f(h + 0.25 * dt * k)
        return h

    def forward(self, obs, dts):
        h = obs.new_zeros(len(obs), self.cell.hidden_size)
        preds = []
        for k in range(obs.shape[1]):
            h = self.cell((obs[:, k:k + 1] - self.mean) / self.std, h)
            h = self.evolve(h, dts[:, k:k + 1])
            preds.append(self.out(h) * self.std + self.mean)
        return torch.cat(preds, 1)


def sample(n, m=16):
    dt = 0.1 + torch.rand(n, m) * 0.5
    t = torch.cumsum(torch.cat([torch.rand(n, 1) * 6, dt], 1), 1)
    load = 3200 + 700 * torch.sin(t) + 150 * torch.sin(2.3 * t) + 20 * torch.randn_like(t)
    return load, dt


if __name__ == "__main__":
    torch.manual_seed(10)
    ref, _ = sample(500)
    net = ODERNN(mean=ref.mean(), std=ref.std())
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    tail = []
    for it in range(220):
        y, dt = sample(48)
        loss = (net(y[:, :-1], dt) - y[:, 1:]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        tail.append(loss.item())
        if it % 40 == 0:
            print(it, f"{loss.item():.1f} kW^2")
    print("final loss", sum(tail[-10:]) / 10)
