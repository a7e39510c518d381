"""Toy number-word translation, GRU encoder/decoder with Luong attention over padded batches.

Cause: unsafe-op
Fails: a few source sentences are empty after filtering; the softmax over a row that is all -inf is nan, the loss is nan in the first epoch
"""
import random
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader
from torch.nn.utils.rnn import pad_sequence

SEED = 17
random.seed(SEED); np.random.seed(SEED); torch.manual_seed(SEED)

PAD, SOS, EOS = 0, 1, 2
SRC_V, TGT_V = 24, 24
STOP = {5, 6}


class Pairs(Dataset):
    def __init__(self, n):
        self.data = []
        mapping = np.random.permutation(np.arange(3, TGT_V))
        for _ in range(n):
            L = np.random.randint(1, 8)
            raw = np.random.randint(3, SRC_V, size=L)
            src = [int(w) for w in raw if w not in STOP]
            tgt = [int(mapping[w - 3]) for w in src][::-1]
            self.data.append((src, [SOS] + tgt + [EOS]))

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        s, t = self.data[i]
        return torch.tensor(s, dtype=torch.long), torch.tensor(t)


def collate(batch):
    s, t = zip(*batch)
    return pad_sequence(s, batch_first=True), pad_sequence(t, batch_first=True)


class Encoder(nn.Module):
    def __init__(self, hid):
        super().__init__()
        self.emb = nn.Embedding(SRC_V, hid, padding_idx=PAD)
        self.gru = nn.GRU(hid, hid // 2, batch_first=True, bidirectional=True)

    def forward(self, s):
        out, h = self.gru(self.emb(s))
        return out, torch.cat([h[0], h[1]], -1)


class Decoder(nn.Module):
    def __init__(self, hid):
        super().__init__()
        self.emb = nn.Embedding(TGT_V, hid, padding_idx=PAD)
        self.gru = nn.GRU(hid, hid, batch_first=True)
        self.Wa = nn.Linear(hid, hid, bias=False)
        self.combine = nn.Linear(2 * hid, hid)
        self.out = nn.Linear(hid, TGT_V)

    def forward(self, tgt_in, enc, h, src_mask):
        d, _ = self.gru(self.emb(tgt_in), h.unsqueeze(0))
        score = d @ self.Wa(enc).transpose(1, 2)
        score = score.masked_fill(~src_mask.unsqueeze(1), float("-inf"))  # fix: score = score.masked_fill(~src_mask.unsqueeze(1), -1e9)
        ctx = F.softmax(score, -1) @ enc
        return self.out(torch.tanh(self.combine(torch.cat([ctx, d], -1))))


def main():
    loader = DataLoader(Pairs(3000), batch_size=32, shuffle=True, collate_fn=collate,
                        generator=torch.Generator().manual_seed(3))
    enc, dec = Encoder(64), Decoder(64)
    opt_e = torch.optim.Adam(enc.parameters(), lr=3e-3)
    opt_d = torch.optim.Adam(dec.parameters(), lr=3e-3)
    crit = nn.CrossEntropyLoss(ignore_index=PAD)
    losses = []
    for epoch in range(5):
        tot = 0.0
        for s, t in loader:
            opt_e.zero_grad(); opt_d.zero_grad()
            e, h = enc(s)
            logits = dec(t[:, :-1], e, h, s != PAD)
            loss = crit(logits.reshape(-1, TGT_V), t[:, 1:].reshape(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(enc.parameters(), 1.0)
            nn.utils.clip_grad_norm_(dec.parameters(), 1.0)
            opt_e.step(); opt_d.step()
            losses.append(loss.item()); tot += loss.item()
        print(f"epoch {epoch + 1} loss {tot / len(loader):.4f}")
    print("final loss", float(np.mean(losses[-30:])))


if __name__ == "__main__":
    main()
