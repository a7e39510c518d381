"""Speech-like CTC recogniser: huge first loss, then the long blank plateau before the alignment is found."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Utterances(Dataset):
    def __init__(self, n, seed, n_sym=5):
        g = torch.Generator().manual_seed(seed)
        proto = torch.randn(n_sym + 1, 12, generator=torch.Generator().manual_seed(0)) * 1.5
        self.items = []
        for _ in range(n):
            m = int(torch.randint(3, 6, (1,), generator=g))
            lab = torch.randint(1, n_sym + 1, (m,), generator=g)
            frames = []
            for s in lab.tolist():
                k = int(torch.randint(2, 5, (1,), generator=g))
                frames += [proto[s]] * k + [proto[0]] * int(torch.randint(1, 3, (1,), generator=g))
            x = torch.stack(frames)
            self.items.append((x + 0.4 * torch.randn(x.shape, generator=g), lab))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(b):
    xs, ys = zip(*b)
    return (nn.utils.rnn.pad_sequence(xs), torch.tensor([len(x) for x in xs]), torch.cat(ys), torch.tensor([len(y) for y in ys]))


class CTCNet(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.rnn = nn.GRU(12, h, bidirectional=True)
        self.out = nn.Linear(2 * h, 6)

    def forward(self, x):
        return self.out(self.rnn(x)[0]).log_softmax(-1)


def run():
    torch.manual_seed(20)
    dl = DataLoader(Utterances(640, 1), 16, shuffle=True, collate_fn=collate)
    net, crit = CTCNet(), nn.CTCLoss(reduction="sum", zero_infinity=True)
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for ep in range(6):
        tot = 0.0
        for x, xl, y, yl in dl:
            loss = crit(net(x), y, xl, yl) / len(xl)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            opt.step()
            tot += loss.item() / len(dl)
        print("epoch", ep, "ctc", tot)
    print("final loss", tot)


run()
