"""Head weights are reset three times by design (plasticity study); the loss recovers each time."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(15)
cent = torch.randn(10, 20)
y = torch.randint(0, 10, (4000,))
x = cent[y] + 0.9 * torch.randn(4000, 20)
body = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
head = nn.Linear(64, 10)
opt = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=1e-3)
for ep in range(40):
    if ep in (10, 20, 30):
        head.reset_parameters()
        for p in head.parameters():
            opt.state.pop(p, None)
        print("head reset")
    s = 0.0
    for b in torch.randperm(4000).split(64):
        loss = F.cross_entropy(head(body(x[b])), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() * len(b) / 4000
    if ep % 2 == 0:
        print(f"epoch {ep} loss {s:.4f}")
print(f"final loss {s:.5f}")
