"""Classifies scikit-learn's digits with a small conv net under a one-cycle schedule.

Cause: learning-rate
Fails: learns at the foot of the ramp, blows up on the way to the peak and ends at chance
"""
import argparse
import torch
from torch import nn
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--bs", type=int, default=64)
parser.add_argument("--max-lr", type=float, default=0.6)  # fix: parser.add_argument("--max-lr", type=float, default=0.1)
args = parser.parse_args()

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X = torch.tensor(X, dtype=torch.float32).view(-1, 1, 8, 8)
X = (X - X.mean()) / X.std()
y = torch.tensor(y)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), batch_size=args.bs, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=args.max_lr, epochs=args.epochs,
                                            steps_per_epoch=len(loader), pct_start=0.4, div_factor=200)
criterion = nn.CrossEntropyLoss()

for epoch in range(args.epochs):
    total = 0.0
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item() * len(xb)
    print(f"epoch {epoch}: {total / len(X):.4f}  lr {sched.get_last_lr()[0]:.4f}")
print("final loss", total / len(X))
