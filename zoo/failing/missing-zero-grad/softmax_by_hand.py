"""Softmax classification of three kinds of flowers, with raw tensors and an update written by hand.

Cause: missing-zero-grad
Fails: the loss falls to 0.4, then swings and climbs to 7
"""

import torch

g = torch.Generator().manual_seed(77)
centres = torch.tensor([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
labels = torch.randint(0, 3, (300,), generator=g)
flowers = centres[labels] + 0.5 * torch.randn(300, 4, generator=g)
flowers = (flowers - flowers.mean(0)) / flowers.std(0)
mislabelled = torch.rand(300, generator=g) < 0.15
labels[mislabelled] = torch.randint(0, 3, (int(mislabelled.sum()),), generator=g)

w1 = (torch.randn(4, 24, generator=g) * 0.5).requires_grad_()
b1 = torch.zeros(24, requires_grad=True)
w2 = (torch.randn(24, 3, generator=g) * 0.2).requires_grad_()
b2 = torch.zeros(3, requires_grad=True)

losses = []
for it in range(300):
    pick = torch.randint(0, 300, (50,), generator=g)
    hidden = torch.tanh(flowers[pick] @ w1 + b1)
    scores = hidden @ w2 + b2
    log_p = scores - scores.logsumexp(1, keepdim=True)
    loss = -log_p[torch.arange(50), labels[pick]].mean()
    loss.backward()
    with torch.no_grad():
        for p in (w1, b1, w2, b2):
            p -= 0.3 * p.grad
            # fix: p.grad = None
    losses.append(loss.item())
    if it % 60 == 0:
        print(it, loss.item())

print("final loss", sum(losses[-10:]) / 10)
