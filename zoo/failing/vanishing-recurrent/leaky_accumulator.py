"""A hand-written leaky cell counts whether more ups than downs came in the first part of a sequence; raw tensors, SGD.

Cause: vanishing-recurrent
Fails: stays at 0.693
"""

import torch

torch.manual_seed(20)
HIDDEN, LENGTH, EARLY = 24, 45, 9
KEEP = 0.6  # fix: KEEP = 0.98

w_in = (torch.randn(1, HIDDEN) * 0.5).requires_grad_()
w_rec = (torch.randn(HIDDEN, HIDDEN) * 0.02).requires_grad_()
b = torch.zeros(HIDDEN, requires_grad=True)
w_out = (torch.randn(HIDDEN, 1) * 0.2).requires_grad_()
b_out = torch.zeros(1, requires_grad=True)
params = [w_in, w_rec, b, w_out, b_out]
optimizer = torch.optim.SGD(params, lr=0.03, momentum=0.9)


def sequences(count):
    moves = torch.zeros(count, LENGTH)
    moves[:, :EARLY] = torch.randint(0, 2, (count, EARLY)) * 2.0 - 1
    label = (moves.sum(1) > 0).float()
    return moves + 0.05 * torch.randn(count, LENGTH), label


def read(moves):
    h = torch.zeros(len(moves), HIDDEN)
    for t in range(LENGTH):
        h = KEEP * h + 0.1 * torch.tanh(moves[:, t : t + 1] @ w_in + h @ w_rec + b)
    return (h @ w_out + b_out).squeeze(1)


losses = []
for step in range(300):
    moves, label = sequences(48)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(read(moves), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 60 == 0:
        print(f"{step:3d} {loss.item():.5f}")

print("final loss", sum(losses[-10:]) / 10)
