"""Trains a small encoder-decoder transformer to reverse token strings (toy translation) with the Noam schedule.
Cause: learning-rate
Fails: the loss drops a little in the first tens of steps and then stays close to the uniform guess (3.2), ending around 2.8.
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(11)
VOCAB, LEN, D = 24, 8, 64
BOS = 0


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, D)
        self.pos = nn.Parameter(torch.randn(LEN + 1, D) * 0.1)
        self.core = nn.Transformer(D, 4, 2, 2, 128, dropout=0.0, batch_first=True)
        self.out = nn.Linear(D, VOCAB)

    def forward(self, src, tgt):
        s = self.emb(src) + self.pos[: src.size(1)]
        t = self.emb(tgt) + self.pos[: tgt.size(1)]
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1))
        return self.out(self.core(s, t, tgt_mask=mask))


def batch(n=48):
    src = torch.randint(1, VOCAB, (n, LEN))
    tgt = src.flip(1)
    inp = torch.cat([torch.full((n, 1), BOS), tgt[:, :-1]], 1)
    return src, inp, tgt


model = Seq2Seq()
opt = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
warmup = 4  # fix: warmup = 120
noam = lambda s: 0.4 * D ** -0.5 * min((s + 1) ** -0.5, (s + 1) * warmup ** -1.5)
sched = torch.optim.lr_scheduler.LambdaLR(opt, noam)
ce = nn.CrossEntropyLoss()
hist = []
for step in range(210):
    src, inp, tgt = batch()
    loss = ce(model(src, inp).reshape(-1, VOCAB), tgt.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    hist.append(loss.item())
    if step % 40 == 0:
        print(f"step {step} loss {loss.item():.3f} lr {sched.get_last_lr()[0]:.5f}")
print(f"final loss {sum(hist[-20:]) / 20:.4f}")
