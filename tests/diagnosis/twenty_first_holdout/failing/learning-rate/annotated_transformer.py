"""Encoder-decoder Transformer in the style of the Annotated Transformer, with the Noam schedule and label smoothing, on sequence reversal.

Cause: learning-rate
Fails: the loss stays near the entropy of the vocabulary instead of falling
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(11)
torch.set_num_threads(1)
V, T, D = 14, 9, 64


class PositionalEncoding(nn.Module):
    def __init__(self, d, max_len=64):
        super().__init__()
        pe = torch.zeros(max_len, d)
        pos = torch.arange(max_len).unsqueeze(1).float()
        div = torch.exp(torch.arange(0, d, 2).float() * -(math.log(10000.0) / d))
        pe[:, 0::2], pe[:, 1::2] = torch.sin(pos * div), torch.cos(pos * div)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(1)]


class EncoderDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.src, self.tgt = nn.Embedding(V, D), nn.Embedding(V, D)
        self.pos = PositionalEncoding(D)
        self.core = nn.Transformer(D, 4, 3, 3, 128, dropout=0.0, batch_first=True)
        self.generator = nn.Linear(D, V)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def forward(self, s, t):
        mask = nn.Transformer.generate_square_subsequent_mask(t.size(1))
        s = self.pos(self.src(s) * math.sqrt(D))
        t = self.pos(self.tgt(t) * math.sqrt(D))
        return self.generator(self.core(s, t, tgt_mask=mask, tgt_is_causal=True))


def rate(step, model_size, factor, warmup):
    step = max(step, 1)
    return factor * (model_size ** -0.5 * min(step ** -0.5, step * warmup ** -1.5))


def make_batch(g, n=32):
    s = torch.randint(2, V, (n, T), generator=g)
    t = torch.cat([torch.ones(n, 1, dtype=torch.long), s.flip(1)], 1)
    return s, t[:, :-1], t[:, 1:]


model = EncoderDecoder()
opt = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
warmup_steps = 1  # fix: warmup_steps = 200
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: rate(s + 1, D, 0.4, warmup_steps))
crit = nn.CrossEntropyLoss(label_smoothing=0.1)
g = torch.Generator().manual_seed(3)
for step in range(350):
    s, ti, to = make_batch(g)
    loss = crit(model(s, ti).reshape(-1, V), to.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 4))
model.eval()
with torch.no_grad():
    s, ti, to = make_batch(torch.Generator().manual_seed(99), 256)
    print("final loss", nn.functional.cross_entropy(model(s, ti).reshape(-1, V), to.reshape(-1)).item())
