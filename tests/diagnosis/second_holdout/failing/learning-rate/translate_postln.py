"""Translates digit strings to reversed digit strings with a post-LN encoder-decoder, teacher forcing.

Cause: learning-rate
Fails: the loss stays near that of guessing a digit at random
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

BOS, VOCAB, LEN = 10, 11, 8
torch.manual_seed(3)


class Translator(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.src = nn.Embedding(VOCAB, d)
        self.tgt = nn.Embedding(VOCAB, d)
        self.pos = nn.Parameter(torch.randn(LEN, d) * 0.1)
        self.core = nn.Transformer(d, 4, 2, 2, 128, dropout=0.0, batch_first=True)
        self.out = nn.Linear(d, VOCAB)

    def forward(self, s, t):
        causal = nn.Transformer.generate_square_subsequent_mask(t.size(1))
        h = self.core(self.src(s) + self.pos, self.tgt(t) + self.pos, tgt_mask=causal)
        return self.out(h)


def get_batch(n):
    src = torch.randint(0, 10, (n, LEN))
    tgt = src.flip(1)
    inp = torch.cat([torch.full((n, 1), BOS), tgt[:, :-1]], 1)
    return src, inp, tgt


net = Translator()
# the rate that the paper's schedule peaks at for a toy model, but with no warm-up
optim = torch.optim.Adam(net.parameters(), lr=3e-2, betas=(0.9, 0.98), eps=1e-9)  # fix: optim = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
running = None
for it in range(350):
    src, inp, tgt = get_batch(32)
    logits = net(src, inp)
    loss = F.cross_entropy(logits.flatten(0, 1), tgt.flatten())
    optim.zero_grad()
    loss.backward()
    optim.step()
    running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
    if it % 50 == 0:
        print(f"it {it} loss {loss.item():.3f}")
print("final loss", running)
