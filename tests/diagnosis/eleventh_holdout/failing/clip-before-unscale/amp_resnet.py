"""Tiny ResNet on synthetic traffic signs with a GradScaler trainer and gradient clipping.

Cause: clip-before-unscale
Fails: validation loss 1.647 at the end, no better than a uniform guess (ln 5 = 1.609); the training loss stays flat (with the fix 0.002379)
"""
import argparse
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def signs(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 5, (n,), generator=g)
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    r = (xx ** 2 + yy ** 2).sqrt()
    shapes = torch.stack([(r < .7), (r < .7) & (r > .4), (xx.abs() < .6) & (yy.abs() < .6), (xx.abs() < yy + .5) & (yy < .7), (xx.abs() < .2)]).float()
    x = shapes[y][:, None] * (0.5 + torch.rand(n, 3, 1, 1, generator=g)) + 0.4 * torch.randn(n, 3, 16, 16, generator=g)
    return TensorDataset((x - 0.3) / 0.5, y)


class Res(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.n1, self.n2 = nn.GroupNorm(4, o), nn.GroupNorm(4, o)
        self.sk = nn.Conv2d(i, o, 1, stride, bias=False)

    def forward(self, x):
        return F.relu(self.n2(self.c2(F.relu(self.n1(self.c1(x))))) + self.sk(x))


class AmpTrainer:
    def __init__(self, args):
        self.args = args
        self.model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Res(8, 16, 2), Res(16, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
        self.opt = torch.optim.SGD(self.model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 14, growth_interval=1000)

    def step(self, x, y):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = self.model(x)
        loss = F.cross_entropy(out.float(), y)
        self.opt.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        # fix: self.scaler.unscale_(self.opt)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.args.max_norm)
        self.scaler.step(self.opt)
        self.scaler.update()
        return loss.item()

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        s = sum(F.cross_entropy(self.model(x), y, reduction="sum").item() for x, y in loader) / len(loader.dataset)
        self.model.train()
        return s


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.05)
    p.add_argument("--max-norm", type=float, default=1.0)
    p.add_argument("--epochs", type=int, default=6)
    args = p.parse_args()
    torch.manual_seed(0)
    tr = AmpTrainer(args)
    train, val = DataLoader(signs(640, 1), 32, shuffle=True), DataLoader(signs(160, 2), 80)
    for e in range(args.epochs):
        for x, y in train:
            l = tr.step(x, y)
        print(f"epoch {e} loss {l:.4f} val {tr.evaluate(val):.4f}")
    print("final loss", tr.evaluate(val))


if __name__ == "__main__":
    main()
