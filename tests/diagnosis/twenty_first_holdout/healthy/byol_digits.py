"""Trains BYOL on augmented scikit-learn digits with a momentum target network; the loss is small, bounded, and does not fall evenly."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

torch.manual_seed(12)
torch.set_num_threads(1)
d = load_digits()
X = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
g = torch.Generator().manual_seed(7)


def augment(x):
    x = F.pad(x, (1, 1, 1, 1))
    a, b = [int(v) for v in torch.randint(0, 3, (2,), generator=g)]
    x = x[:, :, a:a + 8, b:b + 8]
    x = x * (0.7 + 0.6 * torch.rand(len(x), 1, 1, 1, generator=g)) + 0.1 * torch.randn(x.shape, generator=g)
    return x * (torch.rand(x.shape, generator=g) > 0.15)


def mlp(a, h, b):
    return nn.Sequential(nn.Linear(a, h), nn.BatchNorm1d(h), nn.ReLU(), nn.Linear(h, b))


enc = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
online, predictor = nn.Sequential(enc, mlp(128, 128, 32)), mlp(32, 64, 32)
target = copy.deepcopy(online).requires_grad_(False)
opt = torch.optim.AdamW(list(online.parameters()) + list(predictor.parameters()), lr=2e-3, weight_decay=1e-3)


def regress(a, b):
    return 2 - 2 * F.cosine_similarity(predictor(online(a)), target(b), dim=1).mean()


for step in range(300):
    x = X[torch.randint(0, 1400, (48,), generator=g)]
    a, b = augment(x), augment(x)
    loss = (regress(a, b) + regress(b, a)) / 2
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        for t, o in zip(target.parameters(), online.parameters()):
            t.lerp_(o, 0.01)
    if step % 30 == 0:
        print("step", step, "loss", round(loss.item(), 4))
enc.eval()
with torch.no_grad():
    z = enc(X)
clf = LogisticRegression(max_iter=500).fit(z[:1400].numpy(), d.target[:1400])
print("probe accuracy", clf.score(z[1400:].numpy(), d.target[1400:]))
print("final loss", loss.item())
