"""Feed-forward n-gram language model on sentences from a small probabilistic grammar, own Adam subclass.

Cause: stale-second-moment
Fails: loss 3.14 at step 0, 2e7 at step 1; then frozen at 3.05 (word frequencies only) for the remaining 880 steps.
"""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

GRAMMAR = {
    "S": [["NP", "VP", "."]],
    "NP": [["DET", "N"], ["DET", "ADJ", "N"], ["NAME"]],
    "VP": [["V", "NP"], ["V", "NP", "P", "NP"], ["SAY", "that", "S2"]],
    "S2": [["NP", "VP"]],
    "DET": [["a"], ["the"], ["every"]],
    "N": [["bank"], ["trader"], ["market"], ["bond"], ["judge"]],
    "ADJ": [["new"], ["weak"], ["large"]],
    "NAME": [["Smith"], ["Jones"]],
    "V": [["bought"], ["saw"], ["sold"], ["met"]],
    "SAY": [["said"], ["thought"]],
    "P": [["with"], ["near"]],
}


def expand(symbol, rnd):
    if symbol not in GRAMMAR:
        return [symbol]
    return [w for part in rnd.choice(GRAMMAR[symbol]) for w in expand(part, rnd)]


class CompactAdam(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                st = self.state[p]
                if not st:
                    st["t"], st["m"], st["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                st["t"] += 1
                st["m"].lerp_(p.grad, 1 - b1)
                st["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                m = st["m"] / (1 - b1 ** st["t"])
                v = st["v"]  # fix: v = st["v"] / (1 - b2 ** st["t"])
                p.addcdiv_(m, v.sqrt() + group["eps"], value=-group["lr"])


class NGram(nn.Module):
    def __init__(self, n, context=6, dim=24, width=128, depth=7):
        super().__init__()
        self.emb = nn.Embedding(n, dim)
        sizes = [context * dim] + [width] * depth
        body = []
        for a, b in zip(sizes, sizes[1:]):
            body += [nn.Linear(a, b), nn.ReLU()]
        self.body = nn.Sequential(*body)
        self.out = nn.Linear(width, n)

    def forward(self, x):
        return self.out(self.body(self.emb(x).flatten(1)))


def main():
    rnd = random.Random(6)
    torch.manual_seed(6)
    words = [w for _ in range(3000) for w in expand("S", rnd)]
    vocab = {w: i for i, w in enumerate(sorted(set(words)))}
    ids = torch.tensor([vocab[w] for w in words])
    grams = ids.unfold(0, 7, 1)
    model = NGram(len(vocab))
    opt = CompactAdam(model.parameters(), lr=3e-3, betas=(0.9, 0.9999))
    step = 0
    for epoch in range(3):
        losses = []
        for rows in torch.randperm(len(grams)).split(96):
            g = grams[rows]
            loss = F.cross_entropy(model(g[:, :6]), g[:, 6])
            model.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
            if step in (0, 1, 2, 5, 10, 20, 40):
                print("step", step, "loss", losses[-1])
            step += 1
        mean = sum(losses) / len(losses)
        print("epoch", epoch, "loss", mean)
    print("final loss", mean)


main()
