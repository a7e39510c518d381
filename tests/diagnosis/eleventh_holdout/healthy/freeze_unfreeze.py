"""Transfer to dollar-valued house prices: head first, then the thawed backbone at a smaller rate; losses are in squared dollars (huge unit) and dip and rise at the thaw."""
import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())

    def forward(self, x):
        return self.f(x)


class PriceHead(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.lin = nn.Linear(64, 1)
        self.mean, self.std = mean, std

    def forward(self, h):
        return self.mean + self.std * self.lin(h).squeeze(-1)


def houses(n, g):
    x = torch.randn(n, 10, generator=g)
    return x, 3e5 + 8e4 * (x[:, 0] + torch.relu(x[:, 1]) * x[:, 2]) + 1e4 * torch.randn(n, generator=g)


def main():
    torch.manual_seed(50)
    g = torch.Generator().manual_seed(51)
    X, Y = houses(3000, g)
    Xv, Yv = houses(500, g)
    body, head = Backbone(), PriceHead(Y.mean(), Y.std())
    for p in body.parameters():
        p.requires_grad_(False)
    opt = torch.optim.Adam([{"params": head.parameters(), "lr": 3e-3}])
    for it in range(600):
        if it == 150:
            for p in body.parameters():
                p.requires_grad_(True)
            opt.add_param_group({"params": body.parameters(), "lr": 2e-3})
            print("backbone thawed")
        i = torch.randint(0, 3000, (64,), generator=g)
        loss = ((head(body(X[i])) - Y[i]) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if it % 100 == 0:
            print(it, f"{loss.item():.4e}")
    with torch.no_grad():
        print("final loss", ((head(body(Xv)) - Yv) ** 2).mean().item())


if __name__ == "__main__":
    main()
