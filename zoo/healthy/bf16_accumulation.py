"""bfloat16 autocast with gradient accumulation over four micro-batches of 8; a residual network without norms."""

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(torch.relu(self.up(x)))


def main():
    torch.manual_seed(11)
    teacher = nn.Sequential(nn.Linear(12, 30), nn.Tanh(), nn.Linear(30, 5))
    model = nn.Sequential(nn.Linear(12, 48), *[Residual(48) for _ in range(6)], nn.Linear(48, 5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    accumulate = 4
    history = []
    for _ in range(300):
        total = 0.0
        for _ in range(accumulate):
            x = torch.randn(8, 12)
            with torch.no_grad():
                y = (3 * teacher(x)).argmax(1)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(model(x), y) / accumulate
            loss.backward()
            total += loss.item()
        optimizer.step()
        optimizer.zero_grad()
        history.append(total)
    print("final loss", sum(history[-30:]) / 30)


main()
