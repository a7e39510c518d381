"""GRU seq2seq that copies strings; the strings grow longer during training and the loss jumps each time."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Stages:
    def __init__(self):
        self.plan = {0: 2, 110: 3, 220: 4}
        self.length = 2

    def before_step(self, n):
        self.length = self.plan.get(n, self.length)


class Copier(nn.Module):
    def __init__(self, symbols=6, hid=64):
        super().__init__()
        self.stop = symbols
        self.emb = nn.Embedding(symbols + 1, 16)
        self.enc = nn.GRU(16, hid, batch_first=True)
        self.dec = nn.GRU(16, hid, batch_first=True)
        self.out = nn.Linear(hid, symbols)

    def forward(self, s):
        _, h = self.enc(self.emb(s))
        shifted = torch.cat([torch.full_like(s[:, :1], self.stop), s[:, :-1]], 1)
        return self.out(self.dec(self.emb(shifted), h)[0])


def main():
    torch.manual_seed(58)
    g = torch.Generator().manual_seed(58)
    net = Copier()
    groups = [{"params": net.emb.parameters(), "lr": 1e-2}, {"params": [*net.enc.parameters(), *net.dec.parameters()]},
              {"params": net.out.parameters(), "weight_decay": 1e-3}]
    opt = torch.optim.AdamW(groups, lr=5e-3, weight_decay=0.0)
    stages, log = Stages(), []
    for n in range(620):
        stages.before_step(n)
        s = torch.randint(0, 6, (48, stages.length), generator=g)
        loss = F.cross_entropy(net(s).flatten(0, 1), s.flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        log.append(loss.item())
        if n % 55 == 0 or n in stages.plan:
            print("step", n, "length", stages.length, "loss", log[-1])
    print("final loss", sum(log[-30:]) / 30)


main()
