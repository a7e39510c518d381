"""CTC on synthetic phone strings: for a while the net says only blanks, with the loss flat, then alignments appear."""
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence

torch.set_num_threads(1)
torch.manual_seed(16)
PH, DIM = 8, 12
proto = torch.randn(PH + 1, DIM)


def utterance():
    n = int(torch.randint(3, 7, ()))
    lab = torch.randint(1, PH + 1, (n,))
    frames = []
    for p in lab:
        frames.append(proto[0].expand(int(torch.randint(1, 3, ())), DIM) * 0.3)
        frames.append(proto[p].expand(int(torch.randint(2, 6, ())), DIM))
    x = torch.cat(frames)
    return x + 0.5 * torch.randn_like(x), lab


class Acoustic(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(DIM, 40, bidirectional=True)
        self.fc = nn.Linear(80, PH + 1)

    def forward(self, x, lens):
        p = nn.utils.rnn.pack_padded_sequence(x, lens, enforce_sorted=False)
        h, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(p)[0])
        return self.fc(h).log_softmax(-1)


am, ctc = Acoustic(), nn.CTCLoss(zero_infinity=True)
opt = torch.optim.Adam(am.parameters(), lr=4e-3)
warm = torch.optim.lr_scheduler.LinearLR(opt, 0.05, 1.0, 60)
cos = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 340)
sch = torch.optim.lr_scheduler.SequentialLR(opt, [warm, cos], [60])
rec = []
for it in range(400):
    u = [utterance() for _ in range(12)]
    xl = torch.tensor([len(a) for a, _ in u])
    yl = torch.tensor([len(b) for _, b in u])
    lp = am(pad_sequence([a for a, _ in u]), xl)
    loss = ctc(lp, torch.cat([b for _, b in u]), xl, yl)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(am.parameters(), 5.0)
    opt.step()
    sch.step()
    rec.append(loss.item())
    if it % 40 == 0:
        blank = (lp.argmax(-1) == 0).float().mean().item()
        print(f"{it:4d} ctc {loss.item():.3f} blanks {blank:.2f}")
print("final loss", sum(rec[-20:]) / 20)
