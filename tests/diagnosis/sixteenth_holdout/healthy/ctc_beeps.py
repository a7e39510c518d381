"""CTC on beep sequences; starts above 20, sits on the all-blank plateau for a while, then drops."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(18)


def clip(n, L=4, seg=5):
    y = torch.randint(1, 6, (n, L))
    x = torch.zeros(n, L * (seg + 2), 8)
    for k in range(L):
        a = k * (seg + 2)
        x[:, a:a + seg] = F.one_hot(y[:, k], 8).float()[:, None]
    return x + 0.3 * torch.randn_like(x), y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.GRU(8, 32, batch_first=True, bidirectional=True)
        self.o = nn.Linear(64, 6)

    def forward(self, x):
        return self.o(self.r(x)[0]).log_softmax(-1).transpose(0, 1)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
rec = []
for it in range(500):
    x, y = clip(32)
    lp = net(x)
    loss = F.ctc_loss(lp, y, torch.full((32,), lp.shape[0]), torch.full((32,), 4), reduction="none").mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 100.0)
    opt.step()
    rec.append(loss.item())
    if it % 50 == 0:
        print(f"it {it} ctc {loss.item():.3f}")
print(f"final loss {sum(rec[-25:]) / 25:.5f}")
