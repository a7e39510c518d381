"""Day-ahead electricity load with dilated causal convolutions.

Cause: loss-scale
Fails: final test MAE (std units) nan (with the fix 0.2284)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2024)
HIST, HORIZON = 96, 24
REDUCTION = "sum"  # fix: REDUCTION = "mean"


class CausalBlock(nn.Module):
    def __init__(self, c_in, c_out, dilation, k=3):
        super().__init__()
        self.pad = (k - 1) * dilation
        self.c1 = nn.Conv1d(c_in, c_out, k, dilation=dilation)
        self.c2 = nn.Conv1d(c_out, c_out, 1)
        self.skip = nn.Conv1d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x):
        y = F.relu(self.c1(F.pad(x, (self.pad, 0))))
        return F.relu(self.c2(y) + self.skip(x))


class TCN(nn.Module):
    def __init__(self, c_in=3, width=24):
        super().__init__()
        self.blocks = nn.Sequential(*[CausalBlock(c_in if i == 0 else width, width, 2 ** i) for i in range(5)])
        self.head = nn.Linear(width, HORIZON)

    def forward(self, x):
        return self.head(self.blocks(x)[:, :, -1])


def load_series(n=24 * 170):
    t = torch.arange(n).float()
    day = torch.sin(2 * torch.pi * (t - 7) / 24)
    week = ((t // 24) % 7 >= 5).float()
    temp = torch.cumsum(torch.randn(n) * 0.15, 0)
    temp = (temp - temp.mean()) / temp.std()
    load = 1.0 * day + 0.4 * torch.sin(4 * torch.pi * t / 24) - 0.8 * week + 0.5 * temp + 0.08 * torch.randn(n)
    load = (load - load.mean()) / load.std()
    return torch.stack([load, temp, week])


series = load_series()
starts = torch.arange(0, series.shape[1] - HIST - HORIZON)
cut = int(0.85 * len(starts))
train_starts, test_starts = starts[:cut], starts[cut + HORIZON:]


def get(s):
    x = torch.stack([series[:, i:i + HIST] for i in s.tolist()])
    y = torch.stack([series[0, i + HIST:i + HIST + HORIZON] for i in s.tolist()])
    return x, y


def main():
    net = TCN()
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 350)
    avg = None
    for it in range(350):
        x, y = get(train_starts[torch.randint(len(train_starts), (32,))])
        opt.zero_grad()
        loss = F.mse_loss(net(x), y, reduction=REDUCTION)
        loss.backward()
        opt.step()
        sched.step()
        avg = loss.item() if avg is None else 0.95 * avg + 0.05 * loss.item()
        if it % 50 == 49:
            print(f"it {it + 1} smoothed loss {avg:.4f}")
    net.eval()
    with torch.no_grad():
        x, y = get(test_starts)
        mae = (net(x) - y).abs().mean().item()
    print(f"final test MAE (std units): {mae:.4f}")


if __name__ == "__main__":
    main()
