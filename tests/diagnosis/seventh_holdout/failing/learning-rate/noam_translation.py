"""Transformer encoder-decoder on a reversal "translation" task with the Noam schedule.

Cause: learning-rate
Fails: warm-up counts epochs although the schedule is stepped per batch, the rate peaks at 0.07 after 4 steps; the loss stays at the unigram guess (2.8, 2.68 at the end)
"""
import math
import torch
import torch.nn as nn
from torch.utils.data import IterableDataset, DataLoader

BOS, EOS, PADI = 1, 2, 0
VOC = 22


class ReverseShift(IterableDataset):
    def __init__(self, n, seed):
        self.n, self.seed = n, seed

    def __iter__(self):
        g = torch.Generator().manual_seed(self.seed)
        for _ in range(self.n):
            L = int(torch.randint(3, 8, (1,), generator=g))
            s = torch.randint(3, VOC, (L,), generator=g)
            t = (s.flip(0) - 3 + 5) % (VOC - 3) + 3
            yield s, torch.cat([torch.tensor([BOS]), t, torch.tensor([EOS])])


def collate(b):
    pad = nn.utils.rnn.pad_sequence
    return pad([x for x, _ in b], batch_first=True), pad([y for _, y in b], batch_first=True)


class NoamOpt:
    def __init__(self, model_size, factor, warmup, optimizer):
        self.optimizer, self._step = optimizer, 0
        self.warmup, self.factor, self.model_size = warmup, factor, model_size

    def rate(self):
        s = self._step
        return self.factor * self.model_size ** -0.5 * min(s ** -0.5, s * self.warmup ** -1.5)

    def step(self):
        self._step += 1
        for p in self.optimizer.param_groups:
            p["lr"] = self.rate()
        self.optimizer.step()

    def zero_grad(self):
        self.optimizer.zero_grad()


class Seq2Seq(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.d = d
        self.se, self.te = nn.Embedding(VOC, d), nn.Embedding(VOC, d)
        self.pos = nn.Parameter(torch.randn(16, d) * 0.5)
        self.tr = nn.Transformer(d, 4, 2, 2, 96, dropout=0.0, batch_first=True, norm_first=False)
        self.gen = nn.Linear(d, VOC)

    def forward(self, s, t):
        m = nn.Transformer.generate_square_subsequent_mask(t.shape[1])
        pm = torch.zeros(s.shape).masked_fill(s == PADI, float("-inf"))
        h = self.tr(self.se(s) + self.pos[:s.shape[1]], self.te(t) + self.pos[:t.shape[1]], tgt_mask=m,
                    src_key_padding_mask=pm, memory_key_padding_mask=pm)
        return self.gen(h)


def run_epoch(model, loader, opt, crit):
    tot, n = 0.0, 0
    for s, t in loader:
        logits = model(s, t[:, :-1])
        loss = crit(logits.reshape(-1, VOC), t[:, 1:].reshape(-1))
        if opt is not None:
            opt.zero_grad()
            loss.backward()
            opt.step()
            if opt._step % 60 == 1:
                print(f"  step {opt._step} lr {opt.rate():.5f} loss {loss.item():.4f}")
        tot += loss.item(); n += 1
    return tot / n


if __name__ == "__main__":
    torch.manual_seed(3)
    model = Seq2Seq()
    warmup_epochs = 4
    batches_per_epoch = 100
    opt = NoamOpt(model.d, 1.0, warmup_epochs,  # fix: opt = NoamOpt(model.d, 1.0, warmup_epochs * batches_per_epoch,
                  torch.optim.Adam(model.parameters(), lr=0, betas=(0.9, 0.98), eps=1e-9))
    crit = nn.CrossEntropyLoss(ignore_index=PADI, label_smoothing=0.0)
    for ep in range(7):
        loader = DataLoader(ReverseShift(32 * batches_per_epoch, ep), batch_size=32, collate_fn=collate)
        tl = run_epoch(model, loader, opt, crit)
        model.eval()
        with torch.no_grad():
            vl = run_epoch(model, DataLoader(ReverseShift(320, 999), batch_size=64, collate_fn=collate), None, crit)
        model.train()
        print(f"epoch {ep} train {tl:.4f} valid {vl:.4f}")
    print("final loss", vl)
