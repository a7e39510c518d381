"""CTC on drawn-out symbols; a few transcripts are longer than their input: infinite losses, zeroed on purpose."""

import torch
from torch import nn

torch.manual_seed(404)
SYMBOLS, FRAMES, LONGEST = 6, 24, 5


def utterances(count=24):
    x = torch.zeros(count, FRAMES, 8)
    targets = torch.zeros(count, LONGEST, dtype=torch.long)
    lengths = torch.randint(2, LONGEST + 1, (count,))
    frames = torch.full((count,), FRAMES)
    for i in range(count):
        targets[i] = torch.randint(1, SYMBOLS + 1, (LONGEST,))
        borders = (torch.rand(int(lengths[i]) - 1) * (FRAMES - 2)).long().sort().values + 1
        segment = torch.searchsorted(borders, torch.arange(FRAMES), right=True)
        x[i, torch.arange(FRAMES), targets[i, segment]] = 1.5
        if torch.rand(()) < 0.1:
            frames[i], lengths[i] = 3, LONGEST
    return x + 0.3 * torch.randn_like(x), targets, frames, lengths


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(8, 32, 3, padding=1)
        self.gru = nn.GRU(32, 32, batch_first=True, bidirectional=True)
        self.out = nn.Linear(64, SYMBOLS + 1)

    def forward(self, x):
        h = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.out(self.gru(h)[0]).log_softmax(2)


model = Listener()
ctc = nn.CTCLoss(blank=0, reduction="none", zero_infinity=True)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
curve, skipped = [], 0
for step in range(200):
    x, targets, frames, lengths = utterances()
    each = ctc(model(x).transpose(0, 1), targets, frames, lengths)
    skipped += int((each == 0).sum())
    loss = (each / lengths).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    curve.append(loss.item())
print("impossible transcripts", skipped)
print("final loss", sum(curve[-10:]) / 10)
