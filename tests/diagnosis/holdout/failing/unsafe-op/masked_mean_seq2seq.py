"""A seq2seq number reverser with teacher forcing, loss averaged over the non-pad tokens of each scheduled slice.

Cause: unsafe-op
Fails: a batch without a single carry token divides zero by zero in the auxiliary loss and the run is nan afterwards
First bad: step 37, loss, aten.div, masked_mean
"""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(1234)
PAD, BOS, EOS, DIGIT0, VOCAB = 0, 1, 2, 3, 13
MAXLEN = 6


def sample_batch(n=32):
    lens = torch.randint(2, MAXLEN + 1, (n,))
    src = torch.zeros(n, MAXLEN, dtype=torch.long)
    tgt = torch.zeros(n, MAXLEN + 2, dtype=torch.long)
    for i, L in enumerate(lens.tolist()):
        d = torch.randint(DIGIT0, VOCAB - 1, (L,))
        if torch.rand(()) < 0.16:
            d[torch.randint(0, L, ())] = VOCAB - 1
        src[i, :L] = d
        tgt[i, 0] = BOS
        tgt[i, 1 : L + 1] = d.flip(0)
        tgt[i, L + 1] = EOS
    return src, tgt


class Seq2Seq(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, dim, padding_idx=PAD)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.decoder = nn.GRU(dim, dim, batch_first=True)
        self.proj = nn.Linear(2 * dim, VOCAB)

    def forward(self, src, tgt_in):
        enc, h = self.encoder(self.emb(src))
        dec, _ = self.decoder(self.emb(tgt_in), h)
        score = dec @ enc.transpose(1, 2) / dec.shape[-1] ** 0.5
        ctx = score.softmax(-1) @ enc
        return self.proj(torch.cat([dec, ctx], -1))


def masked_mean(per_token, mask):
    return (per_token * mask).sum() / mask.sum()  # fix: return (per_token * mask).sum() / mask.sum().clamp(min=1)


model = Seq2Seq()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
losses = []
for step in range(300):
    src, tgt = sample_batch()
    logits = model(src, tgt[:, :-1])
    gold = tgt[:, 1:]
    nll = F.cross_entropy(logits.transpose(1, 2), gold, reduction="none")
    loss = masked_mean(nll, (gold != PAD).float()) + 0.2 * masked_mean(nll, (gold == VOCAB - 1).float())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
    if step % 60 == 0:
        print(step, round(loss.item(), 4))
print("final loss", sum(losses[-10:]) / 10)
