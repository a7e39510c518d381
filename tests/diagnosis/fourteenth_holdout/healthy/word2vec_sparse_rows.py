"""Skip-gram with negative sampling, sparse gradients and SparseAdam: most rows have no gradient at any step, rare words
get one every few hundred steps."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(67)
WORDS, GROUPS, WIDTH = 600, 12, 24
group_of = torch.randint(0, GROUPS, (WORDS,))
members = [torch.nonzero(group_of == g).squeeze(1) for g in range(GROUPS)]
zipf = 1 / torch.arange(1.0, WORDS + 1)
weight_in_group = [zipf[m] for m in members]


def corpus():
    while True:
        g = torch.randint(0, GROUPS, (96,)).tolist()
        pair = torch.stack([members[i][torch.multinomial(weight_in_group[i], 2, replacement=True)] for i in g])
        negatives = torch.multinomial(zipf**0.75, 96 * 5, replacement=True).view(96, 5)
        yield pair[:, 0], pair[:, 1], negatives


centre, context = (nn.Embedding(WORDS, WIDTH, sparse=True) for _ in range(2))
nn.init.uniform_(centre.weight, -0.5 / WIDTH, 0.5 / WIDTH)
nn.init.zeros_(context.weight)
optimizer = torch.optim.SparseAdam([centre.weight, context.weight], lr=0.02)
losses = []
for step, (word, near, far) in enumerate(corpus()):
    v = centre(word)
    loss = -F.logsigmoid((v * context(near)).sum(-1)).mean() - F.logsigmoid(-(context(far) @ v.unsqueeze(-1))).sum((1, 2)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 60 == 0:
        print(step, losses[-1])
    if step == 419:
        break
print("final loss", sum(losses[-20:]) / 20)
