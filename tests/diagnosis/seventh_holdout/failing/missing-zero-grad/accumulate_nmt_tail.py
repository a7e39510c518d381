"""Pronunciation: letters to phones, transformer encoder per letter, gradient accumulation over 4 micro-batches, SGD momentum.

Cause: missing-zero-grad
Fails: zero_grad stands in the branch of the last partial group only, which never runs since the groups come out even; gradients pile up, the mean loss of the first epoch is 6e4 and then it is nan
"""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class G2P(nn.Module):
    def __init__(self, letters=27, phones=20, d=40):
        super().__init__()
        self.emb = nn.Embedding(letters, d, padding_idx=0)
        self.pos = nn.Parameter(0.1 * torch.randn(9, d))
        layer = nn.TransformerEncoderLayer(d, 4, 80, dropout=0.0, batch_first=True)
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(d, phones)

    def forward(self, x):
        return self.out(self.enc(self.emb(x) + self.pos, src_key_padding_mask=(x == 0)))


def lexicon(n):
    g = torch.Generator().manual_seed(0)
    x = torch.randint(1, 27, (n, 9), generator=g)
    ln = torch.randint(3, 10, (n, 1), generator=g)
    x[torch.arange(9)[None] >= ln] = 0
    nxt = torch.cat([x[:, 1:], torch.zeros(n, 1, dtype=torch.long)], 1)
    table = torch.randint(20, (27, 2), generator=g)
    y = table[x, (nxt > 13).long()]
    y[x == 0] = -100
    return x, y


class Loop:
    ACC = 4

    def __init__(self):
        torch.manual_seed(55)
        self.model = G2P()
        self.opt = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.ce = nn.CrossEntropyLoss(ignore_index=-100)
        x, y = lexicon(3200)
        self.dl = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(7))
        self.hist = []

    def epoch(self):
        for i, (x, y) in enumerate(self.dl):
            loss = self.ce(self.model(x).flatten(0, 1), y.flatten())
            (loss / self.ACC).backward()
            self.hist.append(loss.item())
            if (i + 1) % self.ACC == 0:
                self.opt.step()
                # fix: self.opt.zero_grad()
            elif i + 1 == len(self.dl):
                self.opt.step()
                self.opt.zero_grad()

    def run(self, epochs):
        for e in range(epochs):
            self.epoch()
            n = len(self.dl)
            print(f"epoch {e} loss {sum(self.hist[-n:]) / n:.4f}")
        return sum(self.hist[-50:]) / 50


if __name__ == "__main__":
    print("final loss", Loop().run(7))
