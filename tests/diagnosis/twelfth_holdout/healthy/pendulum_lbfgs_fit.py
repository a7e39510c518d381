"""Fit the vector field of a damped pendulum from noisy samples with L-BFGS, random half of the data per outer step."""
import torch
import torch.nn as nn

torch.manual_seed(37)


def field(s):
    q, p = s[:, 0], s[:, 1]
    return torch.stack([p, -torch.sin(q) * 3 - 0.3 * p], 1)


s = torch.rand(400, 2) * 6 - 3
ds = field(s) + 0.02 * torch.randn(400, 2)
s_test = torch.rand(1000, 2) * 6 - 3


class Field(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(2, h), nn.Linear(h, h), nn.Linear(h, 2)

    def forward(self, s):
        return self.c(torch.tanh(self.b(torch.tanh(self.a(s)))))


class Fitter:
    def __init__(self):
        self.f = Field()
        self.opt = torch.optim.LBFGS(self.f.parameters(), lr=1.0, max_iter=4, history_size=20)
        self.evals = 0

    def outer(self):
        idx = torch.randperm(400)[:200]
        xb, yb = s[idx], ds[idx]

        def closure():
            self.evals += 1
            self.opt.zero_grad()
            loss = (self.f(xb) - yb).pow(2).mean()
            loss.backward()
            return loss

        return self.opt.step(closure).item()

    def fit(self, n):
        for it in range(n):
            loss = self.outer()
            if it % 10 == 0:
                print(f"outer {it} evals {self.evals} loss {loss:.6g}")
        return self

    @torch.no_grad()
    def error(self):
        t = field(s_test)
        return ((self.f(s_test) - t).pow(2).mean() / t.pow(2).mean()).item()


if __name__ == "__main__":
    ft = Fitter().fit(100)
    print(f"final relative field error {ft.error():.6f}")
