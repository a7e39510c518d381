"""Dense autoregressive demand model with half weights, fp32 master copy and a static loss scale.

Cause: half-overflow
Fails: the loss is not finite from step 1 on
"""
import torch
import torch.nn as nn

LOSS_SCALE = 65536.0  # fix: LOSS_SCALE = 1024.0


class MasterSGD:
    """Keeps fp32 weights, writes them back to the half model after every update."""

    def __init__(self, model, lr, momentum):
        self.model = list(model.parameters())
        self.master = [p.detach().float().clone() for p in self.model]
        self.buf = [torch.zeros_like(p) for p in self.master]
        self.lr, self.momentum = lr, momentum

    @torch.no_grad()
    def step(self, scale):
        for h, w, b in zip(self.model, self.master, self.buf):
            b.mul_(self.momentum).add_(h.grad.float() / scale)
            w.sub_(self.lr * b)
            h.copy_(w)
            h.grad = None


def demand(n=5000):
    t = torch.arange(n).float()
    s = torch.sin(t * 6.283 / 24) + 0.5 * torch.sin(t * 6.283 / 168) + 0.3 * torch.sin(t * 6.283 / 12 + 1)
    return s + 0.1 * torch.randn(n)


class ARNet(nn.Module):
    def __init__(self, lags=48, width=96):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(lags, width), nn.GELU(), nn.LayerNorm(width),
                               nn.Linear(width, width), nn.GELU(), nn.Linear(width, 6))

    def forward(self, x):
        return self.f(x)


def main():
    torch.manual_seed(52)
    y = demand()
    net = ARNet().half()
    opt = MasterSGD(net, lr=0.05, momentum=0.9)
    tail = []
    for step in range(400):
        i = torch.randint(0, len(y) - 54, (64, 1)) + torch.arange(54)
        w = y[i].half()
        pred = net(w[:, :48])
        loss = (pred - w[:, 48:]).pow(2).mean()
        (loss * LOSS_SCALE).backward()
        opt.step(LOSS_SCALE)
        tail.append(loss.item())
        if step % 80 == 0:
            print(step, tail[-1])
    print("final loss", sum(tail[-20:]) / 20)


main()
