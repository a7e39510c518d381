"""makemore part two: an MLP letter model in raw tensors, plain SGD.

Cause: missing-zero-grad
Fails: p.grad is never reset, the updates grow with the step count and the loss climbs far above log(vocabulary)
"""

import torch
import torch.nn.functional as F

g = torch.Generator().manual_seed(42)

rules = {"a": "bcd", "b": "ae", "c": "ho", "d": "ae", "e": "fg", "f": "io", "g": "io", "h": "ae", "i": "bd", "o": "cf"}
letters = sorted(rules)
stoi = {s: i for i, s in enumerate(letters)}
text = ["a"]
for _ in range(6000):
    nxt = rules[text[-1]]
    text.append(nxt[torch.randint(0, len(nxt), (1,), generator=g).item()])
data = torch.tensor([stoi[c] for c in text])
X = torch.stack([data[i : len(data) - 3 + i] for i in range(3)], 1)
Y = data[3:]

C = torch.randn((10, 6), generator=g)
W1 = torch.randn((18, 64), generator=g) * (5 / 3) / 18**0.5
b1 = torch.randn(64, generator=g) * 0.01
W2 = torch.randn((64, 10), generator=g) * 0.05
b2 = torch.zeros(10)
parameters = [C, W1, b1, W2, b2]
for p in parameters:
    p.requires_grad_()

optimizer = torch.optim.SGD(parameters, lr=0.1)
lossi = []
for k in range(400):
    ix = torch.randint(0, X.shape[0], (48,), generator=g)
    emb = C[X[ix]]
    h = torch.tanh(emb.view(-1, 18) @ W1 + b1)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Y[ix])
    # fix: optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    lossi.append(loss.item())
print("final loss", torch.tensor(lossi[-10:]).mean().item())
