"""An echo canceller on signals in microvolts: squared errors begin around 1e-9 and end far below, gradients are tiny too;
Adam with a small eps deals with it."""

import torch
from torch import nn

torch.manual_seed(65)
taps = torch.randn(24) * torch.exp(-torch.arange(24.0) / 6)


class Canceller(nn.Module):
    def __init__(self):
        super().__init__()
        self.fir = nn.Conv1d(1, 1, 24, bias=False)
        nn.init.zeros_(self.fir.weight)

    def forward(self, x):
        return self.fir(x)


net = Canceller()
optimizer = torch.optim.Adam(net.parameters(), lr=0.02, eps=1e-16)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, total_iters=600)
losses = []
for step in range(700):
    far_end = 2e-5 * torch.randn(8, 1, 200)
    echo = nn.functional.conv1d(far_end, taps.view(1, 1, -1)) + 5e-7 * torch.randn(8, 1, 177)
    loss = (net(far_end) - echo).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
    if step % 100 == 0:
        print(step, f"{loss.item():.3g}")
print("final loss", sum(losses[-20:]) / 20)
