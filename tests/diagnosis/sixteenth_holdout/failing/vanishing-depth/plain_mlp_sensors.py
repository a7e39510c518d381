"""Plain deep MLP that classifies gas-sensor readings into six odours.

Cause: vanishing-depth
Fails: loss never leaves log(6) = 1.79.
"""
import torch
import torch.nn as nn

torch.manual_seed(19)


class GasData(torch.utils.data.Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        proto = torch.randn(6, 32, generator=torch.Generator().manual_seed(0))
        self.y = torch.randint(0, 6, (n,), generator=g)
        conc = torch.rand(n, 1, generator=g) + 0.5
        self.x = torch.tanh(conc * proto[self.y]) + 0.4 * torch.randn(n, 32, generator=g)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.trunc_normal_(m.weight, std=0.02)  # fix: nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)


dims = [32] + [96] * 12
blocks = []
for a, b in zip(dims, dims[1:]):
    blocks += [nn.Linear(a, b), nn.ReLU()]
model = nn.Sequential(*blocks, nn.Linear(96, 6)).apply(init_weights)
train = torch.utils.data.DataLoader(GasData(4000, 1), batch_size=64, shuffle=True)
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
crit = nn.CrossEntropyLoss()
for epoch in range(16):
    tot = hits = 0
    for x, y in train:
        out = model(x)
        loss = crit(out, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(y)
        hits += (out.argmax(1) == y).sum().item()
    print(f"[{epoch}] loss={tot / 4000:.4f} acc={hits / 4000:.3f}")
print(f"final loss {tot / 4000:.5f}")
