"""Trains the tutorial's seq2seq GRU with attention to reverse strings; the length grows in stages (the loss leaps up each time) and teacher forcing is random."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
random.seed(9)
torch.set_num_threads(1)
V, H, SOS = 14, 64, 1


class EncoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.gru = nn.Embedding(V, H), nn.GRU(H, H, batch_first=True)

    def forward(self, x):
        return self.gru(self.emb(x))


class AttnDecoderRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.wa, self.ua, self.va = nn.Embedding(V, H), nn.Linear(H, H), nn.Linear(H, H), nn.Linear(H, 1)
        self.gru, self.out = nn.GRU(2 * H, H, batch_first=True), nn.Linear(H, V)

    def step(self, tok, h, enc):
        s = self.va(torch.tanh(self.wa(h[-1]).unsqueeze(1) + self.ua(enc))).squeeze(-1)
        ctx = s.softmax(-1).unsqueeze(1) @ enc
        o, h = self.gru(torch.cat([self.emb(tok), ctx], -1), h)
        return self.out(o), h

    def forward(self, enc, h, tgt, force):
        tok, outs = torch.full((len(tgt), 1), SOS), []
        for t in range(tgt.size(1)):
            o, h = self.step(tok, h, enc)
            outs.append(o)
            tok = tgt[:, t:t + 1] if force else o.argmax(-1).detach()
        return torch.cat(outs, 1)


enc, dec = EncoderRNN(), AttnDecoderRNN()
params = list(enc.parameters()) + list(dec.parameters())
opt = torch.optim.Adam(params, lr=3e-3)
g = torch.Generator().manual_seed(3)


def run(L, n, force):
    x = torch.randint(2, V, (n, L), generator=g)
    e, h = enc(x)
    return F.cross_entropy(dec(e, h, x.flip(1), force).reshape(-1, V), x.flip(1).reshape(-1))


for step in range(450):
    L = 3 if step < 100 else 6 if step < 250 else 9
    loss = run(L, 32, random.random() < 0.8)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()
    if step % 45 == 0:
        print("step", step, "length", L, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", run(9, 300, True).item())
