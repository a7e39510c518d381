"""Sparse parity of 3 bits among 20: a long flat plateau at ln 2, then a sudden fall (grokking-like), as it should be."""
import torch
import torch.nn as nn

torch.set_num_threads(1)
torch.manual_seed(12)
n, k = 20, 3
net = nn.Sequential(nn.Linear(n, 256), nn.ReLU(), nn.Linear(256, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.2, weight_decay=1e-3)
tail = []
for i in range(1500):
    x = torch.randint(0, 2, (128, n)).float() * 2 - 1
    y = x[:, :k].prod(1)
    margin = y * net(x).squeeze(1)
    loss = nn.functional.softplus(-margin).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    tail.append(loss.item())
    if i % 100 == 0:
        print(f"{i:5d} logistic {loss.item():.4f} acc {(margin > 0).float().mean().item():.3f}")
print("final loss", sum(tail[-20:]) / 20)
