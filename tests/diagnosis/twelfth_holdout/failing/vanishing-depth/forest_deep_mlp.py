"""Three-class tabular problem, tall stack of logistic layers as in an old textbook.

Cause: vanishing-depth
Fails: final accuracy 0.3889 (with the fix 1)
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

torch.manual_seed(19)
X, y = load_wine(return_X_y=True)
Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
sc = StandardScaler().fit(Xa)
Xa, Xb = (torch.tensor(sc.transform(z), dtype=torch.float32) for z in (Xa, Xb))
ya, yb = torch.tensor(ya), torch.tensor(yb)

DEPTH, WIDTH = 12, 64
activation = nn.Sigmoid  # fix: activation = nn.Tanh


def make_net():
    mods = []
    w = Xa.shape[1]
    for _ in range(DEPTH):
        lin = nn.Linear(w, WIDTH)
        nn.init.xavier_normal_(lin.weight)
        nn.init.zeros_(lin.bias)
        mods += [lin, activation()]
        w = WIDTH
    mods.append(nn.Linear(w, 3))
    return nn.Sequential(*mods)


def score(model, x, t):
    with torch.no_grad():
        return (model(x).argmax(1) == t).float().mean().item()


def n_params(model):
    return sum(p.numel() for p in model.parameters())


net = make_net()
print("parameters", n_params(net))
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
ce = nn.CrossEntropyLoss()
gen = torch.Generator().manual_seed(0)
step = 0
for epoch in range(100):
    for idx in torch.randperm(len(Xa), generator=gen).split(32):
        if len(idx) < 8:
            continue
        loss = ce(net(Xa[idx]), ya[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
    if epoch % 20 == 0:
        first = net[0].weight.grad.norm().item()
        print(f"epoch {epoch} steps {step} loss {loss.item():.4f} |g0| {first:.2e}")

print(f"train accuracy {score(net, Xa, ya):.4f}")
acc = score(net, Xb, yb)
print(f"final accuracy {acc:.4f}")
