"""Language model on a Markov chain with activation checkpointing, tied weights and SWA at the end."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint
from torch.optim.swa_utils import AveragedModel, SWALR

torch.manual_seed(0)
V, T, D = 20, 24, 48
trans = torch.softmax(torch.randn(V, V) * 3, -1)


def chain(n):
    s = [torch.randint(V, (n,))]
    for _ in range(T):
        s.append(torch.multinomial(trans[s[-1]], 1)[:, 0])
    return torch.stack(s, 1)


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, D)
        nn.init.normal_(self.emb.weight, std=0.1)
        self.pos = nn.Parameter(torch.zeros(T, D))
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(D, 4, 96, 0.1, batch_first=True, norm_first=True)
                                    for _ in range(2))
        self.norm = nn.LayerNorm(D)

    def forward(self, s):
        h = self.emb(s) + self.pos
        mask = nn.Transformer.generate_square_subsequent_mask(T)
        for b in self.blocks:
            h = checkpoint(b, h, mask, use_reentrant=False)
        return self.norm(h) @ self.emb.weight.T


lm = LM()
opt = torch.optim.AdamW(lm.parameters(), lr=3e-3)
swa, swa_sched = AveragedModel(lm), SWALR(opt, swa_lr=1.5e-3, anneal_epochs=10)
hist = []
for step in range(260):
    s = chain(24)
    loss = F.cross_entropy(lm(s[:, :-1]).flatten(0, 1), s[:, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step > 200:
        swa.update_parameters(lm)
        swa_sched.step()
    if step % 40 == 0:
        print(step, loss.item())
print("start loss", hist[0], "swa", F.cross_entropy(swa.eval()(s[:, :-1]).flatten(0, 1), s[:, 1:].flatten()).item())
print("final loss", sum(hist[-20:]) / 20)
