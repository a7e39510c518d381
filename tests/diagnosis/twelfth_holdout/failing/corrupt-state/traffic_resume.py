"""Loop-detector traffic speeds. The job is preempted half way, so it checkpoints and resumes.

Cause: corrupt-state
Fails: final error relative to persistence nan (with the fix 0.02969)
"""
import io
import torch
import torch.nn as nn

torch.manual_seed(14)
SENSORS, HIST = 6, 24


class MyAdam:
    def __init__(self, params, lr, b1=0.9, b2=0.999, eps=1e-8):
        self.params = list(params)
        self.lr, self.b1, self.b2, self.eps, self.t = lr, b1, b2, eps, 0
        self.avg = [torch.zeros_like(p) for p in self.params]
        self.sq = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        c1, c2 = 1 - self.b1 ** self.t, 1 - self.b2 ** self.t
        for p, m, v in zip(self.params, self.avg, self.sq):
            m.mul_(self.b1).add_(p.grad, alpha=1 - self.b1)
            v.mul_(self.b2).addcmul_(p.grad, p.grad, value=1 - self.b2)
            p.addcdiv_(m, (v / c2).sqrt_().add_(self.eps), value=-self.lr / c1)

    def state(self):
        return self.t, [v.clone() for v in self.sq], [m.clone() for m in self.avg]

    def restore(self, state):
        self.t, self.avg, self.sq = state  # fix: self.t, self.sq, self.avg = state


class Checkpoint:
    def __init__(self):
        self.buf = None

    def save(self, model, opt):
        self.buf = io.BytesIO()
        torch.save({"model": model.state_dict(), "opt": opt.state()}, self.buf)

    def load(self, model, opt):
        self.buf.seek(0)
        d = torch.load(self.buf)
        model.load_state_dict(d["model"])
        opt.restore(d["opt"])


class SpeedNet(nn.Module):
    """MLP over the flattened history, predicts the change with respect to the last reading."""

    def __init__(self, width=96, depth=5):
        super().__init__()
        dims = [SENSORS * HIST] + [width] * depth
        self.body = nn.Sequential(*[m for a, b in zip(dims, dims[1:]) for m in (nn.Linear(a, b), nn.ReLU())])
        self.fc = nn.Linear(width, SENSORS)

    def forward(self, x):
        return x[:, -1] + self.fc(self.body(x.flatten(1)))


def traffic(n):
    t = torch.arange(n).float()
    out = []
    for s in range(SENSORS):
        rush = torch.exp(-((t % 96 - 32 - s) / 7) ** 2) + torch.exp(-((t % 96 - 70 + s) / 9) ** 2)
        out.append(-2.2 * rush + 0.05 * torch.randn(n))
    return torch.stack(out, 1) * 0.1


data = traffic(4000)
idx = torch.arange(len(data) - HIST - 4)
train, test = idx[:3200], idx[3250:]


def fetch(j):
    x = torch.stack([data[i:i + HIST] for i in j.tolist()])
    return x, data[j + HIST + 3]


def fit(model, opt, steps, tag):
    for i in range(steps):
        x, y = fetch(train[torch.randint(len(train), (64,))])
        loss = (model(x) - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if (i + 1) % 30 == 0:
            print(f"{tag} {i + 1}: {loss.item():.5f}")


model = SpeedNet()
opt = MyAdam(model.parameters(), lr=4e-3)
ck = Checkpoint()
fit(model, opt, 300, "part 1")
ck.save(model, opt)

model = SpeedNet()
opt = MyAdam(model.parameters(), lr=4e-3)
ck.load(model, opt)
fit(model, opt, 200, "part 2")
with torch.no_grad():
    x, y = fetch(test)
    rel = ((model(x) - y).pow(2).mean() / (x[:, -1] - y).pow(2).mean()).item()
print(f"final error relative to persistence: {rel:.5f}")
