"""A residual MLP of the breast cancer table is trained with huge accumulated batches first and with single small batches afterwards."""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import RobustScaler
from torch import nn

torch.manual_seed(51)
bc = load_breast_cancer()
X = torch.tensor(RobustScaler().fit_transform(bc.data), dtype=torch.float32).clamp(-8, 8)
y = torch.tensor(bc.target, dtype=torch.float32)


class Res(nn.Module):
    def __init__(self, d=30):
        super().__init__()
        self.f = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 64), nn.SiLU(), nn.Dropout(0.4), nn.Linear(64, d))

    def forward(self, x):
        return x + self.f(x)


net = nn.Sequential(Res(), Res(), nn.Linear(30, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
lossf = nn.BCEWithLogitsLoss()
log = []
for step in range(420):
    parts, size = (8, 48) if step < 60 else (1, 8)
    if step == 60:
        for g in opt.param_groups:
            g["lr"] = 0.004
    opt.zero_grad()
    for _ in range(parts):
        i = torch.randint(0, len(X), (size,))
        loss = lossf(net(X[i]).squeeze(1), y[i]) / parts
        loss.backward()
    opt.step()
    log.append(loss.item() * parts)
print("first loss", log[0])
print("final loss", sum(log[-80:]) / 80)
