"""GRU nowcasting wind-park power from turbine SCADA channels, momentum SGD.

Cause: outlier-batch
Fails: the loss is 0.05 until step 68, then thrown up and 6e4 at the end (with the fix 0.01)
"""
import numpy as np
import torch
from torch import nn


class ScadaStream:
    """Yields normalised windows; now and then a logger restart leaves a raw counter in a channel."""

    def __init__(self, seed):
        self.g = torch.Generator().manual_seed(seed)

    def __iter__(self):
        k = 0
        while True:
            k += 1
            ar = torch.zeros(48, 20, 4)
            ar[:, 0] = torch.randn(48, 4, generator=self.g)
            for t in range(1, 20):
                ar[:, t] = 0.9 * ar[:, t - 1] + 0.43 * torch.randn(48, 4, generator=self.g)
            y = ar[:, -1, 0] * 0.8 + 0.5 * ar[:, -4:, 1].mean(1) - 0.3 * ar[:, :, 2].mean(1)
            if k % 97 == 70:
                y[5] = 65535.0
            yield ar, y


class Nowcast(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.gru = nn.GRU(4, h, batch_first=True)
        self.out = nn.Linear(h, 1)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1]).squeeze(1)


def main():
    torch.manual_seed(12)
    net = Nowcast()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    loss_fn = nn.MSELoss()
    seen = []
    for step, (x, y) in enumerate(ScadaStream(12)):
        if step == 260:
            break
        # fix: y = y.clamp(-6, 6)
        opt.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        opt.step()
        seen.append(loss.item())
        if step % 40 == 0:
            print(step, seen[-1])
    print("final loss", float(np.mean(seen[-15:])))


if __name__ == "__main__":
    main()
