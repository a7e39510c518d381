"""Knowledge distillation: frozen wide teacher, narrow student backbone and projector driven by two optimizers.

Cause: missing-zero-grad
Fails: final value 0.8105 (with the fix 0.4089); largest backward loss 0.9529 at call 405, first 0.8398
"""
import torch
from torch import nn
import torch.nn.functional as F


def build_teacher(seed=0):
    torch.manual_seed(seed)
    t = nn.Sequential(nn.Linear(16, 128), nn.Tanh(), nn.Linear(128, 10))
    for p in t.parameters():
        p.requires_grad_(False)
        p.mul_(2.0)
    return t


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU())
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.backbone(x))


class Distiller:
    def __init__(self, T=2.0, alpha=0.7):
        self.teacher, self.student = build_teacher(), Student()
        self.T, self.alpha = T, alpha
        self.opts = {
            "backbone": torch.optim.SGD(self.student.backbone.parameters(), lr=0.05, momentum=0.9),
            "head": torch.optim.SGD(self.student.head.parameters(), lr=0.02, momentum=0.9),
        }

    def objective(self, x):
        with torch.no_grad():
            t = self.teacher(x)
        s = self.student(x)
        soft = F.kl_div(F.log_softmax(s / self.T, -1), F.softmax(t / self.T, -1), reduction="batchmean") * self.T ** 2
        hard = F.cross_entropy(s, t.argmax(-1))
        return self.alpha * soft + (1 - self.alpha) * hard

    def train_step(self, x):
        loss = self.objective(x)
        self.opts["head"].zero_grad()  # fix: [o.zero_grad() for o in self.opts.values()]
        loss.backward()
        for o in self.opts.values():
            o.step()
        return loss.item()


def main():
    d = Distiller()
    g = torch.Generator().manual_seed(77)
    seen = []
    for step in range(500):
        seen.append(d.train_step(torch.randn(64, 16, generator=g)))
        if step % 100 == 0:
            print(step, seen[-1])
    print("final loss", sum(seen[-30:]) / 30)


if __name__ == "__main__":
    main()
