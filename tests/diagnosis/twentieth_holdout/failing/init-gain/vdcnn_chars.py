"""Language identification of made-up words with a very deep character-level convolution net.

Cause: init-gain
Fails: the first loss is in the thousands and the net turns NaN
"""
import math
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(13)
torch.manual_seed(13)
SYL = {
    0: "ka ri to mo na shi ku ta ha yo".split(),
    1: "sch ung berg stein haus werk lich heit ei auf".split(),
    2: "eau que oir ette ment eux ois pre le bon".split(),
    3: "ska ov ich vyn dra kre zna pol bor ny".split(),
}
ALPHA = "abcdefghijklmnopqrstuvwxyz "
MAXLEN = 32


def phrase(lang):
    ws = ["".join(random.choices(SYL[lang if random.random() < 0.75 else random.randrange(4)], k=random.randint(2, 3))) for _ in range(5)]
    s = " ".join(ws)[:MAXLEN].ljust(MAXLEN)
    return [ALPHA.index(c) for c in s]


def dataset(n):
    y = [random.randrange(4) for _ in range(n)]
    return torch.tensor([phrase(k) for k in y]), torch.tensor(y)


class CharNet(nn.Module):
    def __init__(self, width=48, depth=12, k=5):
        super().__init__()
        self.embed = nn.Embedding(len(ALPHA), width)
        self.convs = nn.ModuleList([nn.Conv1d(width, width, k, padding=k // 2) for _ in range(depth)])
        self.fc = nn.Linear(width, 4)
        for conv in self.convs:
            std = math.sqrt(2.0 / conv.in_channels)  # fix: std = math.sqrt(2.0 / (conv.in_channels * k))
            nn.init.normal_(conv.weight, std=std)
            nn.init.zeros_(conv.bias)

    def forward(self, ids):
        h = self.embed(ids).transpose(1, 2)
        for i, conv in enumerate(self.convs):
            h = F.relu(conv(h))
            if i in (3, 7):
                h = F.max_pool1d(h, 2)
        return self.fc(h.mean(2))


xt, yt = dataset(3000)
xv, yv = dataset(500)
net = CharNet()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
for step in range(350):
    i = torch.randint(0, 3000, (32,))
    loss = F.cross_entropy(net(xt[i]), yt[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", F.cross_entropy(net(xv), yv).item())
