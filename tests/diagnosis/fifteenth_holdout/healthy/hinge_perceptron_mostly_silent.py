"""A margin ranker of handwritten threes against eights whose batches give no gradient most of the time."""
import torch
from sklearn.datasets import load_digits

torch.manual_seed(4)
d = load_digits()
keep = (d.target == 3) | (d.target == 8)
X = torch.tensor(d.data[keep], dtype=torch.float32) / 16
y = torch.tensor((d.target[keep] == 8) * 2.0 - 1)
w, b = torch.zeros(64, requires_grad=True), torch.zeros(1, requires_grad=True)
opt = torch.optim.SGD([{"params": [w], "weight_decay": 1e-4}, {"params": [b], "lr": 0.02}], lr=0.1, momentum=0.3)
losses, silent = [], 0
for step in range(1400):
    i = torch.randint(0, len(X), (4,))
    loss = torch.relu(1 - y[i] * (X[i] @ w + b)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    silent += int(loss.item() == 0)
    losses.append(loss.item())
print("batches with no gradient", silent)
print("first loss", losses[0])
print("final loss", sum(losses[-200:]) / 200)
