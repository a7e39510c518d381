"""CTC acoustic model on synthetic frames; sits on the all-blank plateau before the alignment is found."""
import torch
import torch.nn as nn

torch.manual_seed(2)
PH, DIM = 6, 12
proto = torch.randn(PH + 1, DIM)


def utterances(n):
    feats, lab, fl, ll = [], [], [], []
    for _ in range(n):
        k = int(torch.randint(3, 6, (1,)))
        seq = torch.randint(1, PH + 1, (k,))
        fr = []
        for s in seq.tolist():
            fr += [proto[s]] * int(torch.randint(2, 5, (1,))) + [torch.zeros(DIM)] * int(torch.randint(1, 3, (1,)))
        fr = torch.stack(fr) + 0.3 * torch.randn(len(fr), DIM)
        feats.append(fr)
        lab.append(seq)
        fl.append(len(fr))
        ll.append(k)
    return nn.utils.rnn.pad_sequence(feats), torch.cat(lab), torch.tensor(fl), torch.tensor(ll)


class Acoustic(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(DIM, 48, bidirectional=True)
        self.out = nn.Linear(96, PH + 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0]).log_softmax(-1)


net = Acoustic()
ctc = nn.CTCLoss(zero_infinity=True)
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
log = []
for it in range(220):
    x, y, fl, ll = utterances(24)
    loss = ctc(net(x), y, fl, ll)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    log.append(loss.item())
    if it % 40 == 0:
        print(it, log[-1])
print("final loss", sum(log[-10:]) / 10)
