"""Sparse parity: the label is the product of three signs hidden among sixteen inputs."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
N_IN, SUBSET = 16, [2, 7, 11]


def sample(n):
    x = (torch.rand(n, N_IN) < 0.5).float() * 2 - 1
    return x, (x[:, SUBSET].prod(1) > 0).float()


class Wide(nn.Module):
    def __init__(self, width=256):
        super().__init__()
        self.hidden = nn.Linear(N_IN, width)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x))).squeeze(1)


def evaluate(net, n=2000):
    with torch.no_grad():
        x, y = sample(n)
        z = net(x)
        return ((z > 0).float() == y).float().mean().item(), F.binary_cross_entropy_with_logits(z, y).item()


def fit(net, opt, steps=600, bs=128):
    trace = []
    for step in range(steps):
        x, y = sample(bs)
        loss = F.binary_cross_entropy_with_logits(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        trace.append(loss.item())
        if (step + 1) % 75 == 0:
            acc, ce = evaluate(net, 500)
            print(f"{step + 1:4d} train {sum(trace[-75:]) / 75:.4f} test acc {acc:.3f} ce {ce:.4f}")
    return trace


def build():
    net = Wide()
    groups = [
        {"params": net.hidden.parameters(), "lr": 0.5},
        {"params": net.out.parameters(), "lr": 0.3},
    ]
    return net, torch.optim.SGD(groups, momentum=0.9)


if __name__ == "__main__":
    net, opt = build()
    fit(net, opt)
    acc, ce = evaluate(net)
    print(f"final test accuracy {acc:.4f}")
