"""Copy task with a growing length: the loss rises whenever the curriculum makes sequences longer."""
from dataclasses import dataclass
import torch
from torch import nn


@dataclass
class Curriculum:
    lengths: tuple = (2, 3, 4, 6)
    steps: tuple = (150, 200, 250, 500)


class CopyNet(nn.Module):
    def __init__(self, n=9, h=96):
        super().__init__()
        self.n = n
        self.lstm = nn.LSTM(n + 1, h, batch_first=True)
        self.fc = nn.Linear(h, n - 1)

    def forward(self, x):
        B, L = x.shape
        inp = torch.zeros(B, 2 * L, self.n + 1)
        inp[:, :L] = nn.functional.one_hot(x, self.n + 1).float()
        inp[:, L:, self.n] = 1.0
        return self.fc(self.lstm(inp)[0][:, L:])


def main():
    torch.manual_seed(21)
    g = torch.Generator().manual_seed(4)
    net = CopyNet()
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    cur = Curriculum()
    hist = []
    for L, n in zip(cur.lengths, cur.steps):
        for s in range(n):
            x = torch.randint(8, (32, L), generator=g)
            loss = nn.functional.cross_entropy(net(x).flatten(0, 1), x.flatten())
            opt.zero_grad(); loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            hist.append(loss.item())
            if s % 50 == 0:
                print(f"L={L} step {s} loss {loss.item():.4f}")
    print("final loss", sum(hist[-40:]) / 40)


main()
