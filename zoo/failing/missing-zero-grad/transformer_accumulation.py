"""A little transformer sorts digits; the gradient is accumulated over two micro-batches.

Cause: missing-zero-grad
Fails: the loss falls from 2.5 to 1.8, then climbs to 5
"""

import argparse

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--updates", type=int, default=200)
parser.add_argument("--accumulate", type=int, default=2)
parser.add_argument("--lr", type=float, default=2e-3)


class Sorter(nn.Module):
    def __init__(self, width=32, length=8):
        super().__init__()
        self.token = nn.Embedding(10, width)
        self.position = nn.Parameter(0.1 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, ids):
        return self.head(self.encoder(self.token(ids) + self.position))


def main(args):
    torch.manual_seed(9)
    model = Sorter()
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, total_iters=20)
    optimizer.zero_grad()
    running, losses = 0.0, []
    for micro in range(args.updates * args.accumulate):
        digits = torch.randint(0, 10, (24, 8))
        logits = model(digits)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), digits.sort(1).values.flatten())
        (loss / args.accumulate).backward()
        running += loss.item() / args.accumulate
        if (micro + 1) % args.accumulate == 0:
            optimizer.step()
            warmup.step()
            # fix: optimizer.zero_grad()
            losses.append(running)
            running = 0.0
    print("final loss", sum(losses[-10:]) / 10)


main(parser.parse_args())
