"""Reads letters from simulated key pulses by CTC; the first loss is large, then a plateau, then it falls."""
import random
import torch
from torch import nn

random.seed(14)
torch.manual_seed(14)
CODE = {1: ".-", 2: "-...", 3: "-.-.", 4: "-..", 5: ".", 6: "..-."}


def message():
    letters = [random.randint(1, 6) for _ in range(random.randint(2, 4))]
    sig = [0.0] * 2
    for l in letters:
        for s in CODE[l]:
            sig += [1.0] * (2 if s == "." else 5) + [0.0] * 2
        sig += [0.0] * 4
    return torch.tensor(sig), letters


def batch(n=16):
    ms = [message() for _ in range(n)]
    lens = torch.tensor([len(m[0]) for m in ms])
    x = nn.utils.rnn.pad_sequence([m[0] for m in ms], batch_first=True)
    x = x + 0.15 * torch.randn_like(x)
    return x, lens, torch.tensor([c for m in ms for c in m[1]]), torch.tensor([len(m[1]) for m in ms])


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 32, 9, padding=4)
        self.rnn = nn.GRU(32, 32, bidirectional=True, batch_first=True)
        self.out = nn.Linear(64, 7)

    def forward(self, x):
        h = torch.relu(self.conv(x.unsqueeze(1))).transpose(1, 2)
        return self.out(self.rnn(h)[0]).log_softmax(-1)


net = Reader()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
ctc = nn.CTCLoss(blank=0)
for step in range(260):
    x, l, y, yl = batch()
    loss = ctc(net(x).transpose(0, 1), y, l, yl)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 2.0)
    opt.step()
    if step % 26 == 0:
        print(step, loss.item())
with torch.no_grad():
    x, l, y, yl = batch(200)
    print("final loss", ctc(net(x).transpose(0, 1), y, l, yl).item())
