"""Trains a DeepSpeech-like bidirectional GRU with CTC on synthetic spectrograms: the loss starts near a hundred, lingers on a plateau of blanks, then falls."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)
torch.set_num_threads(1)
NS, NF = 8, 16
g = torch.Generator().manual_seed(8)
proto = torch.randn(NS + 1, NF, generator=g)


def batch(n):
    y = torch.randint(1, NS + 1, (n, 5), generator=g)
    dur = torch.randint(3, 7, (n, 5), generator=g)
    x = torch.zeros(n, 40, NF)
    for i in range(n):
        t = 2
        for s, k in zip(y[i], dur[i]):
            x[i, t:t + int(k)] = proto[s]
            t += int(k) + 1
    return x + 0.5 * torch.randn(x.shape, generator=g), y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv1d(NF, 48, 5, padding=2), nn.BatchNorm1d(48)
        self.rnn, self.out = nn.GRU(48, 48, bidirectional=True, batch_first=True), nn.Linear(96, NS + 1)

    def forward(self, x):
        h = F.hardtanh(self.bn(self.conv(x.transpose(1, 2))), 0, 20).transpose(1, 2)
        return F.log_softmax(self.out(self.rnn(h)[0]), -1)


net, ctc = Net(), nn.CTCLoss(reduction="none")
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)


def loss_of(n):
    x, y = batch(n)
    lp = net(x).transpose(0, 1)
    return ctc(lp, y, torch.full((n,), 40), torch.full((n,), 5)).mean()


for step in range(300):
    loss = loss_of(12)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    opt.step()
    if step % 30 == 0:
        print("step", step, "loss", round(loss.item(), 4))
net.eval()
with torch.no_grad():
    print("final loss", loss_of(100).item())
