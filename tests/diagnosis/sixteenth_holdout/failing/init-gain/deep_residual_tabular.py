"""Very deep residual MLP on a made-up wine-quality table.

Cause: init-gain
Fails: activations grow with the depth, loss starts huge and training blows up.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
N, D = 3000, 11
wine = torch.randn(N, D)
A = torch.randn(D, 16)
quality = (torch.relu(wine @ A) @ torch.randn(16, 1))
quality = (quality - quality.mean()) / quality.std()


class Block(nn.Module):
    def __init__(self, d, n_blocks):
        super().__init__()
        self.a, self.b = nn.Linear(d, d), nn.Linear(d, d)
        nn.init.kaiming_normal_(self.a.weight)
        nn.init.kaiming_normal_(self.b.weight)
        self.n_blocks = n_blocks

    def forward(self, x):
        y = self.b(F.relu(self.a(x)))
        return x + y  # fix: return x + y / self.n_blocks


class DeepTab(nn.Module):
    def __init__(self, d=48, n=28):
        super().__init__()
        self.stem = nn.Linear(D, d)
        self.blocks = nn.ModuleList(Block(d, n) for _ in range(n))
        self.head = nn.Linear(d, 1)

    def forward(self, x):
        x = self.stem(x)
        for b in self.blocks:
            x = b(x)
        return self.head(x)


model = DeepTab()
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 12)
for ep in range(12):
    acc = 0.0
    for idx in torch.randperm(N).split(60):
        loss = F.mse_loss(model(wine[idx]), quality[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        acc += loss.item()
    sched.step()
    print(f"epoch {ep:02d} mse {acc / 50:.4f}")
print(f"final loss {acc / 50:.5f}")
