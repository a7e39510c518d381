"""Speech-like frame labelling with float16 autocast; GradScaler starts at 2**28 and skips some steps before it settles."""
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F


def phones(n, T, g):
    proto = torch.randn(10, 20, generator=torch.Generator().manual_seed(5))
    x, y = torch.zeros(n, T, 20), torch.zeros(n, T, dtype=torch.long)
    for i in range(n):
        t = 0
        while t < T:
            p = int(torch.randint(10, (1,), generator=g)); d = int(torch.randint(3, 8, (1,), generator=g))
            y[i, t:t + d] = p
            t += d
        x[i] = proto[y[i]]
    return x + 0.9 * torch.randn(x.shape, generator=g), y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv1d(20, 48, 5, padding=2), nn.Conv1d(48, 48, 5, padding=2)
        self.ln = nn.LayerNorm(48)
        self.o = nn.Linear(48, 10)

    def forward(self, x):
        h = F.relu(self.c1(x.transpose(1, 2)))
        h = F.relu(self.c2(h)).transpose(1, 2)
        return self.o(self.ln(h))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--scale", type=float, default=2.0 ** 28)
    ap.add_argument("--lr", type=float, default=2e-3)
    a = ap.parse_args()
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(2)
    X, Y = phones(600, 32, g)
    Xv, Yv = phones(100, 32, g)
    net = Net()
    opt = torch.optim.Adam(net.parameters(), lr=a.lr)
    sc = torch.amp.GradScaler("cpu", init_scale=a.scale)
    step = 0
    for ep in range(6):
        for b in torch.randperm(600).split(12):
            with torch.autocast("cpu", dtype=torch.float16):
                out = net(X[b])
                loss = F.cross_entropy(out.float().flatten(0, 1), Y[b].flatten())
            opt.zero_grad()
            sc.scale(loss).backward()
            sc.unscale_(opt)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            sc.step(opt)
            sc.update()
            if step % 25 == 0 or step < 5:
                print(f"step {step} loss {loss.item():.4f} scale 2^{torch.log2(torch.tensor(sc.get_scale())).item():.0f}")
            step += 1
    with torch.no_grad():
        print("final loss", F.cross_entropy(net(Xv).flatten(0, 1), Yv.flatten()).item())


main()
