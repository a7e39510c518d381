"""An LSTM sums a series of purchases into a monthly bill, with its head in bfloat16 autocast and a gradient scaler.

Cause: clip-before-unscale
Fails: the norm is clipped while gradients still carry the loss scale, after unscaling next to nothing is left to learn from
"""
import torch
from torch import nn


class BillLSTM(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.lstm = nn.LSTM(2, h, batch_first=True)
        self.fc = nn.Linear(h, 1)

    def forward(self, x):
        last = self.lstm(x)[0][:, -1]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.fc(last).squeeze(-1)


def purchases(n, days=20):
    amount = torch.rand(n, days)
    refund = (torch.rand(n, days) < 0.2).float()
    total = (amount * (1 - 2 * refund)).sum(1)
    return torch.stack([amount, refund], -1), total / 3


def main():
    torch.manual_seed(15)
    model = BillLSTM()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 15)
    losses = []
    for step in range(500):
        x, y = purchases(48)
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.mse_loss(model(x).float(), y)
        scaler.scale(loss).backward()
        # fix: scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
        if step % 100 == 0:
            print(step, losses[-1])
    print("final loss", sum(losses[-30:]) / 30)


if __name__ == "__main__":
    main()
