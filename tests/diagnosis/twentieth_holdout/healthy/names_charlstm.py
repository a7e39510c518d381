"""Stateful character LSTM over a stream of generated names, truncated back-propagation, strong clipping, hot SGD."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(1)
torch.manual_seed(1)
A = "mar jo le ka pe an lu si to ri ben dor".split()
B = "lina han ena rik tra dre cas mona bias ta jamin othy".split()
text = "\n".join(random.choice(A) + random.choice(B) for _ in range(9000))
voc = sorted(set(text))
ids = torch.tensor([voc.index(c) for c in text])
rows, T = 16, 24
stream = ids[: len(ids) // rows * rows].view(rows, -1)


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(len(voc), 32)
        self.l = nn.LSTM(32, 64, batch_first=True)
        self.o = nn.Linear(64, len(voc))

    def forward(self, x, s):
        h, s = self.l(self.e(x), s)
        return self.o(h), s


net = LM()
opt = torch.optim.SGD(net.parameters(), lr=8.0)
sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.02, total_iters=500)
state, pos = None, 0
for it in range(500):
    if pos + T + 1 > stream.shape[1]:
        state, pos = None, 0
    out, state = net(stream[:, pos:pos + T], state)
    state = tuple(s.detach() for s in state)
    loss = F.cross_entropy(out.flatten(0, 1), stream[:, pos + 1:pos + T + 1].flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.25)
    opt.step()
    sched.step()
    pos += T
    if it % 50 == 0:
        print(it, loss.item())
print("final loss", loss.item())
