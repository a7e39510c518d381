"""A student of the digits with a third of its labels wrong follows the moving average of itself under heavy dropout."""
import copy

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(27)
d = load_digits()
X, Y = torch.tensor(d.data, dtype=torch.float32) / 16, torch.tensor(d.target)
wrong = torch.rand(len(Y)) < 0.33
Y = torch.where(wrong, torch.randint(0, 10, (len(Y),)), Y)
student = nn.Sequential(nn.Dropout(0.3), nn.Linear(64, 160), nn.ReLU(), nn.Dropout(0.7), nn.Linear(160, 10))
teacher = copy.deepcopy(student).eval().requires_grad_(False)
opt = torch.optim.SGD(student.parameters(), lr=0.15, momentum=0.9)
log = []
for epoch in range(14):
    for b in torch.randperm(len(X)).split(64):
        out = student(X[b])
        with torch.no_grad():
            soft = teacher(X[b]).softmax(1)
        loss = nn.functional.cross_entropy(out, Y[b]) + 0.5 * nn.functional.kl_div(out.log_softmax(1), soft, reduction="batchmean")
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            for t, s in zip(teacher.parameters(), student.parameters()):
                t.lerp_(s, 0.02)
        log.append(loss.item())
    print(epoch, log[-1])
print("first loss", log[0])
print("final loss", sum(log[-28:]) / 28)
