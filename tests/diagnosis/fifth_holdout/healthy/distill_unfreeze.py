"""Distils a wide MLP teacher into a small student whose trunk is frozen at first, then added to the optimizer."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def moons(n, g):
    y = torch.randint(0, 3, (n,), generator=g)
    a = torch.rand(n, generator=g) * 3.1416 + y * 2.1
    r = 1 + 0.35 * y + 0.12 * torch.randn(n, generator=g)
    x = torch.stack([r * a.cos(), r * a.sin()], 1)
    return torch.cat([x, torch.randn(n, 6, generator=g)], 1), y


def kd(student, teacher, y, temp=4.0):
    soft = F.kl_div(F.log_softmax(student / temp, 1), F.softmax(teacher / temp, 1), reduction="batchmean") * temp ** 2
    return 0.7 * soft + 0.3 * F.cross_entropy(student, y)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.head = nn.Linear(32, 3)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return self.head(self.trunk(x))


def main():
    torch.manual_seed(62)
    g = torch.Generator().manual_seed(62)
    teacher = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 3))
    opt = torch.optim.Adam(teacher.parameters(), lr=3e-3)
    for i in range(250):
        x, y = moons(96, g)
        loss = F.cross_entropy(teacher(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if i % 50 == 0:
            print("teacher", i, loss.item())
    teacher.eval().requires_grad_(False)

    student = Student()
    student.trunk.requires_grad_(False)
    opt = torch.optim.SGD(student.head.parameters(), lr=0.05, momentum=0.9)
    tail = []
    for i in range(800):
        if i == 250:
            student.trunk.requires_grad_(True)
            opt.add_param_group({"params": student.trunk.parameters(), "lr": 0.02})
        x, y = moons(96, g)
        loss = kd(student(x), teacher(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tail = (tail + [loss.item()])[-40:]
        if i % 80 == 0:
            print("student", i, loss.item())
    print("final loss", sum(tail) / len(tail))


main()
