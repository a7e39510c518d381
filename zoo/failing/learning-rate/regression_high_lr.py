"""Linear regression on ten features with a rate beyond the stability limit: the loss doubles again and again.

Cause: learning-rate
Fails: the loss is not finite from step 18 on
First bad: step 18, loss, mean | step 23, loss, mean
Variants: --lr 1.2 | --lr 0.8
"""

import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1.2)  # fix: parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()
torch.manual_seed(0)
x = torch.randn(200, 10) + 0.5
y = x @ torch.randn(10, 1) + 1
model = torch.nn.Linear(10, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
for _ in range(300):
    loss = ((model(x) - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("final loss", loss.item())
