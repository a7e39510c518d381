"""Small pre-norm transformer encoder that predicts the nesting depth of bracket strings.

Cause: init-gain
Fails: the loss is not finite from step 2 on (with the fix: final loss 0.01131)
"""
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.att = nn.MultiheadAttention(d, heads, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d), nn.ReLU(), nn.Linear(d, d))

    def forward(self, x, mask):
        z = self.n1(x)
        x = x + self.att(z, z, z, attn_mask=mask, need_weights=False)[0]
        return x + self.ff(self.n2(x))


class DepthNet(nn.Module):
    def __init__(self, d=32, layers=5, L=24):
        super().__init__()
        self.tok, self.pos = nn.Embedding(2, d), nn.Embedding(L, d)
        self.layers = nn.ModuleList(Layer(d, 4) for _ in range(layers))
        self.head = nn.Linear(d, 1)
        self.register_buffer("mask", torch.triu(torch.ones(L, L, dtype=torch.bool), 1))
        for layer in self.layers:
            for m in layer.ff:
                if isinstance(m, nn.Linear):
                    nn.init.normal_(m.weight, std=1.0)  # fix: nn.init.normal_(m.weight, std=0.05)

    def forward(self, s):
        x = self.tok(s) + self.pos.weight
        for layer in self.layers:
            x = layer(x, self.mask)
        return self.head(x).squeeze(-1)


def strings(n, L=24):
    s = torch.randint(0, 2, (n, L))
    depth = (2 * s - 1).cumsum(1).float()
    return s, depth / 5


torch.manual_seed(35)
net = DepthNet()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
tail = []
for step in range(300):
    s, d = strings(24)
    loss = nn.functional.mse_loss(net(s), d)
    opt.zero_grad()
    loss.backward()
    opt.step()
    tail.append(loss.item())
    if step % 50 == 0:
        print("step", step, "loss", loss.item())
print("final loss", sum(tail[-20:]) / 20)
