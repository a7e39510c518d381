"""A deep MLP on synthetic digit-like blobs, SGD with momentum.

Cause: init-gain
Fails: the loss starts at 1.7e6 and is not finite from step 2 on
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
N_CLASSES, DIM, WIDTH, DEPTH = 10, 48, 64, 12

protos = torch.randn(N_CLASSES, DIM)


def sample(n):
    y = torch.randint(0, N_CLASSES, (n,))
    return protos[y] + 0.8 * torch.randn(n, DIM), y


def setup(m):
    if isinstance(m, nn.Linear):
        std = 0.55  # fix: std = (2.0 / m.in_features) ** 0.5
        nn.init.normal_(m.weight, 0.0, std)
        nn.init.zeros_(m.bias)


layers = [nn.Linear(DIM, WIDTH), nn.ReLU()]
for _ in range(DEPTH - 2):
    layers += [nn.Linear(WIDTH, WIDTH), nn.ReLU()]
layers.append(nn.Linear(WIDTH, N_CLASSES))
net = nn.Sequential(*layers).apply(setup)
opt = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9)

for it in range(1200):
    x, y = sample(64)
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 200 == 0:
        print(it, loss.item())
print("final loss", loss.item())
