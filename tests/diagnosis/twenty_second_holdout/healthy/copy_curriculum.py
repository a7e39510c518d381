"""Reverse-a-string with LSTM encoder, attention with -inf masks and scheduled sampling; length grows in steps so that the loss saws up and down."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
SEED = 99
random.seed(SEED); torch.manual_seed(SEED)
V, E, H = 12, 24, 48            # 0 = pad, 1 = bos


class Enc(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, E, padding_idx=0)
        self.rnn = nn.LSTM(E, H, batch_first=True)

    def forward(self, x, lens):
        packed = nn.utils.rnn.pack_padded_sequence(self.emb(x), lens, batch_first=True, enforce_sorted=False)
        o, hc = self.rnn(packed)
        return nn.utils.rnn.pad_packed_sequence(o, batch_first=True)[0], (hc[0][0], hc[1][0])


class Dec(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, E)
        self.cell = nn.LSTMCell(E + H, H)
        self.key = nn.Linear(H, H, bias=False)
        self.out = nn.Linear(2 * H, V)

    def step(self, tok, state, ctx, mem, mask):
        h, c = self.cell(torch.cat([self.emb(tok), ctx], 1), state)
        s = torch.bmm(self.key(mem), h[:, :, None]).squeeze(2) / H ** 0.5
        a = s.masked_fill(~mask, float("-inf")).softmax(1)
        ctx = torch.bmm(a[:, None], mem).squeeze(1)
        return self.out(torch.cat([h, ctx], 1)), (h, c), ctx


def batch(maxlen, n=32):
    lens = torch.randint(max(1, maxlen - 2), maxlen + 1, (n,))
    lens[0] = maxlen
    x = torch.zeros(n, maxlen, dtype=torch.long)
    y = torch.zeros(n, maxlen, dtype=torch.long)
    for i, l in enumerate(lens):
        s = torch.randint(2, V, (l,))
        x[i, :l], y[i, :l] = s, s.flip(0)
    return x, y, lens


enc, dec = Enc(), Dec()
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=4e-3)
track = []
N = 560
for it in range(N):
    L = 2 + 2 * (it // 140)
    x, y, lens = batch(L)
    mem, st = enc(x, lens)
    mask = x != 0
    tok, ctx = torch.ones(len(x), dtype=torch.long), mem.new_zeros(len(x), H)
    loss = 0.0
    for t in range(L):
        lo, st, ctx = dec.step(tok, st, ctx, mem, mask)
        loss = loss + F.cross_entropy(lo, y[:, t], ignore_index=0, reduction="sum")
        tok = y[:, t] if random.random() < 1 - 0.3 * it / N else lo.argmax(1)
    loss = loss / mask.sum()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([*enc.parameters(), *dec.parameters()], 1.0)
    opt.step()
    track.append(loss.item())
    if it % 35 == 0:
        print(f"it {it} maxlen {L} ce {loss.item():.4f}")
print("final loss", sum(track[-20:]) / 20)
