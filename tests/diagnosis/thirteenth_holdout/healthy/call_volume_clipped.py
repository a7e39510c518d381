"""Call volumes in raw counts, GRU with exponential link, Poisson loss summed over the day, clipped."""
import torch
import torch.nn as nn

torch.manual_seed(14)


class Volume(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 24, batch_first=True)
        self.out = nn.Linear(24, 1)
        nn.init.constant_(self.out.bias, 4.0)

    def forward(self, f):
        return self.out(self.gru(f)[0]).squeeze(-1)


def days(n):
    h = torch.arange(24).float()
    dow = torch.randint(0, 7, (n, 1))
    lam = 300 * torch.exp(-((h - 13) ** 2) / 20) * (1 - 0.7 * (dow >= 5).float()) + 5
    a = 6.2832 * h / 24
    f = torch.stack([a.sin().expand(n, -1), a.cos().expand(n, -1), (dow >= 5).float().expand(-1, 24)], -1)
    return f, torch.poisson(lam)


net = Volume()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 500)
for step in range(500):
    f, c = days(16)
    z = net(f)
    loss = nn.functional.poisson_nll_loss(z, c, log_input=True, full=True, reduction="none").sum(1).mean()
    opt.zero_grad()
    loss.backward()
    gn = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    sched.step()
    if step % 50 == 0:
        print(f"step {step} loss {loss.item():.1f} grad norm {gn.item():.1f}")
print("final loss", loss.item())
