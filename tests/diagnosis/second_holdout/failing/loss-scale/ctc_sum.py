"""Trains a speech-like conv + GRU acoustic model with CTC on synthetic spectrograms.

Cause: loss-scale
Fails: the summed loss is some thousand times the mean one, training blows up in the first steps and stays there
"""
import torch
from torch import nn

torch.manual_seed(11)
NPHONE, FEAT = 12, 20
proto = torch.randn(NPHONE + 1, FEAT)


def utterances(n):
    feats, labels, lens, llens = [], [], [], []
    for _ in range(n):
        k = int(torch.randint(4, 8, ()))
        lab = torch.randint(1, NPHONE + 1, (k,))
        frames = torch.cat([proto[c].expand(int(torch.randint(3, 6, ())), -1) for c in lab])
        frames = frames + 0.3 * torch.randn_like(frames)
        feats.append(frames)
        labels.append(lab)
        lens.append(len(frames))
        llens.append(k)
    x = nn.utils.rnn.pad_sequence(feats, batch_first=True)
    return x, torch.cat(labels), torch.tensor(lens), torch.tensor(llens)


class Acoustic(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(FEAT, 64, 3, padding=1)
        self.gru = nn.GRU(64, 48, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(96, NPHONE + 1)

    def forward(self, x):
        h = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        h, _ = self.gru(h)
        return self.fc(h).log_softmax(-1)


model = Acoustic()
ctc = nn.CTCLoss(blank=0, reduction="sum")  # fix: ctc = nn.CTCLoss(blank=0, reduction="mean")
opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True)
score = nn.CTCLoss(blank=0)
for step in range(250):
    x, y, xl, yl = utterances(32)
    logp = model(x).transpose(0, 1)
    loss = ctc(logp, y, xl, yl)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 25 == 0:
        print(step, loss.item())
print("final loss", score(model(x).transpose(0, 1), y, xl, yl).item())
