"""Character LSTM over first names, gradient accumulation over four micro-batches.

Cause: missing-zero-grad
Fails: final loss 893.3 (with the fix 0.7409)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

NAMES = """anna maria peter john linda karen susan james robert michael david sarah emma olivia noah
liam lucas ethan mason logan amelia harper ella grace chloe victoria aria lily hannah zoe nora
daniel henry samuel joseph carter owen wyatt luke jack gabriel isaac leo julian aaron eli nolan
clara alice lucy ruby eva ivy naomi elena sophie stella hazel violet aurora bella""".split()
A = ".abcdefghijklmnopqrstuvwxyz"
enc = lambda s: torch.tensor([A.index(c) for c in "." + s + "."])
MAXLEN = max(len(n) for n in NAMES) + 2


def collate(batch):
    x = torch.zeros(len(batch), MAXLEN, dtype=torch.long)
    m = torch.zeros(len(batch), MAXLEN)
    for i, n in enumerate(batch):
        e = enc(n)
        x[i, :len(e)] = e
        m[i, :len(e)] = 1
    return x, m


class NameModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(27, 16)
        self.rnn = nn.LSTM(16, 48, batch_first=True)
        self.fc = nn.Linear(48, 27)

    def forward(self, x):
        return self.fc(self.rnn(self.emb(x))[0])


torch.manual_seed(4)
loader = DataLoader(NAMES, batch_size=8, shuffle=True, collate_fn=collate, drop_last=True)
model = NameModel()
opt = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
ACCUM = 4
micro = 0
history = []
for epoch in range(140):
    for x, m in loader:
        logits = model(x[:, :-1])
        nll = F.cross_entropy(logits.transpose(1, 2), x[:, 1:], reduction="none")
        loss = (nll * m[:, 1:]).sum() / m[:, 1:].sum()
        (loss / ACCUM).backward()
        micro += 1
        history.append(loss.item())
        if micro % ACCUM == 0:
            opt.step()
            # fix: opt.zero_grad()
    if epoch % 20 == 0:
        print("epoch", epoch, "loss", sum(history[-8:]) / len(history[-8:]))
print("final loss", sum(history[-16:]) / 16)
