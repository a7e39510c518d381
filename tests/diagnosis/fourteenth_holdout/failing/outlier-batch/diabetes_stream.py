"""Progress of diabetes from ten measured features by a small net; records are streamed, the scheduler watches the loss.

Cause: outlier-batch
Fails: good for 218 steps, then 3e7, NaN from step 219 on
"""

import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(13)
g = torch.Generator().manual_seed(13)
raw = load_diabetes()
x = torch.tensor(raw.data, dtype=torch.float32)
x = x / x.std(0)
y = torch.tensor(raw.target, dtype=torch.float32)
y = (y - y.mean()) / y.std()


def stream(size):
    """Batches for ever, as the records come in."""
    seen = 0
    while True:
        rows = torch.randint(0, len(x), (size,), generator=g)
        features = x[rows].clone()
        if seen <= 7000 < seen + size:
            features[7000 - seen, 2] = 6.17e4  # fix: features[7000 - seen, 2] = 0.617
        seen += size
        yield features, y[rows]


net = nn.Sequential(nn.Linear(10, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.7, patience=6)
losses = []
for step, (features, target) in enumerate(stream(32)):
    prediction = net(features).squeeze(1)
    loss = (prediction - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 49:
        scheduler.step(sum(losses[-50:]) / 50)
        print(step, sum(losses[-50:]) / 50)
    if step == 599:
        break
print("final loss", sum(losses[-30:]) / 30)
