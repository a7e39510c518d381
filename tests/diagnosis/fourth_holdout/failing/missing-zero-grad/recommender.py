"""Matrix factorisation with biases on made-up film ratings.

Cause: missing-zero-grad
Fails: the loss is nan within the first epoch
"""
import torch
import torch.nn as nn

torch.manual_seed(123)
USERS, ITEMS, RANK = 200, 120, 8

true_u, true_i = torch.randn(USERS, 4), torch.randn(ITEMS, 4)
pairs = torch.nonzero(torch.rand(USERS, ITEMS) < 0.3)
ratings = (true_u[pairs[:, 0]] * true_i[pairs[:, 1]]).sum(1) * 0.5 + 0.1 * torch.randn(len(pairs))


class MF(nn.Module):
    def __init__(self):
        super().__init__()
        self.u = nn.Embedding(USERS, RANK)
        self.i = nn.Embedding(ITEMS, RANK)
        self.bu = nn.Embedding(USERS, 1)
        self.bi = nn.Embedding(ITEMS, 1)
        for e in (self.u, self.i):
            nn.init.normal_(e.weight, std=0.3)
        for e in (self.bu, self.bi):
            nn.init.zeros_(e.weight)

    def forward(self, uu, ii):
        return (self.u(uu) * self.i(ii)).sum(1) + self.bu(uu)[:, 0] + self.bi(ii)[:, 0]


net = MF()
opt = torch.optim.SGD([{"params": [net.u.weight, net.i.weight], "lr": 4.0},
                       {"params": [net.bu.weight, net.bi.weight], "lr": 1.0}], momentum=0.5)


def one_epoch():
    out = []
    for b in torch.randperm(len(pairs)).split(256):
        # fix: opt.zero_grad()
        err = net(pairs[b, 0], pairs[b, 1]) - ratings[b]
        loss = err.pow(2).mean()
        loss.backward()
        opt.step()
        out.append(loss.item())
    return out


for epoch in range(40):
    ls = one_epoch()
    if epoch == 0:
        print("first loss", ls[0])
    if epoch % 5 == 0:
        print(f"epoch {epoch} loss {sum(ls) / len(ls):.4f}")
print("final loss", sum(ls) / len(ls))
