"""Graph net that counts triangles on random graphs of varying size, sum pooling, sizes of batches vary too."""
import torch
import torch.nn as nn

torch.manual_seed(0)


def graphs(n, size):
    p = torch.rand(n, 1, 1) * 0.5 + 0.1
    a = (torch.rand(n, size, size) < p).float().triu(1)
    a = a + a.transpose(1, 2)
    tri = torch.einsum("bii->b", a @ a @ a) / 6
    return a, torch.log1p(tri)


class GIN(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.l = nn.ModuleList([nn.Sequential(nn.Linear(1 if k == 0 else h, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
                                for k in range(3)])
        self.out = nn.Sequential(nn.Linear(h + 1, h), nn.ReLU(), nn.Linear(h, 1))

    def forward(self, a):
        x = a.sum(-1, keepdim=True) / 10
        for f in self.l:
            x = f(x + a @ x / 5)
        return self.out(torch.cat([torch.log1p(x).sum(1) / 10, a.sum((1, 2))[:, None] / 100], 1))[:, 0]


net = GIN()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
hist = []
for step in range(500):
    a, y = graphs(int(torch.randint(2, 64, ())), int(torch.randint(8, 25, ())))
    loss = nn.functional.mse_loss(net(a), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, loss.item())
print("final loss", sum(hist[-50:]) / 50)
