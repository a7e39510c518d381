"""Sentence-like sequence VAE: the KL weight is annealed cyclically from 0 to 1, so the total loss rises and falls for a good reason."""
from dataclasses import dataclass
import torch
from torch import nn, Tensor
import torch.nn.functional as F


@dataclass
class Conf:
    vocab: int = 20
    length: int = 12
    dim: int = 48
    z: int = 8
    steps: int = 800
    cycle: int = 400
    lr: float = 3e-3


def sentences(n: int, c: Conf) -> Tensor:
    """arithmetic progressions modulo vocab-1 (two latent numbers), token 0 is BOS"""
    a = torch.randint(0, c.vocab - 1, (n, 1))
    d = torch.randint(1, 5, (n, 1))
    return 1 + (a + d * torch.arange(c.length)) % (c.vocab - 1)


class SeqVAE(nn.Module):
    def __init__(self, c: Conf):
        super().__init__()
        self.c = c
        self.emb = nn.Embedding(c.vocab, c.dim)
        self.enc = nn.GRU(c.dim, c.dim, batch_first=True)
        self.stats = nn.Linear(c.dim, 2 * c.z)
        self.init = nn.Linear(c.z, c.dim)
        self.dec = nn.GRU(c.dim + c.z, c.dim, batch_first=True)
        self.out = nn.Linear(c.dim, c.vocab)

    def forward(self, x: Tensor):
        _, h = self.enc(self.emb(x))
        mu, lv = self.stats(h[-1]).chunk(2, -1)
        z = mu + torch.randn_like(mu) * torch.exp(lv / 2)
        inp = F.pad(x[:, :-1], (1, 0))
        # word dropout 0.5: forces the decoder to look at z
        inp = inp * (torch.rand(inp.shape) > 0.5)
        d = torch.cat([self.emb(inp), z[:, None].expand(-1, x.shape[1], -1)], -1)
        y, _ = self.dec(d, torch.tanh(self.init(z))[None])
        rec = F.cross_entropy(self.out(y).transpose(1, 2), x, reduction="none").sum(1).mean()
        kl = -0.5 * (1 + lv - mu ** 2 - lv.exp()).sum(1).mean()
        return rec, kl


def train(c: Conf):
    torch.manual_seed(0)
    net = SeqVAE(c)
    opt = torch.optim.Adam(net.parameters(), lr=c.lr)
    hist = []
    for s in range(c.steps):
        beta = min(1.0, 2.0 * (s % c.cycle) / c.cycle)
        rec, kl = net(sentences(64, c))
        loss = rec + beta * kl
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if s % 80 == 0:
            print(f"{s:4d} beta {beta:.2f} rec {rec.item():.3f} kl {kl.item():.3f} total {loss.item():.3f}")
    print("final loss", sum(hist[-20:]) / 20)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Conf())
