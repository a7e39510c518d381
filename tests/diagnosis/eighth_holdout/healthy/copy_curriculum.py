"""LSTM copy task under a length curriculum; the loss jumps each time the strings get longer."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(16)
V = 6
lstm = nn.LSTM(V + 1, 96, batch_first=True)
read = nn.Linear(96, V)
opt = torch.optim.RMSprop([*lstm.parameters(), *read.parameters()], lr=2e-3)


def make(n, k):
    s = torch.randint(0, V, (n, k))
    inp = torch.cat([s, torch.full((n, k), V)], 1)
    return F.one_hot(inp, V + 1).float(), s


stage, length, ema, last = 0, 2, None, []
for step in range(480):
    x, y = make(64, length)
    logits = read(lstm(x)[0][:, length:])
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(lstm.parameters(), 1.0)
    opt.step()
    ema = loss.item() if ema is None else 0.8 * ema + 0.2 * loss.item()
    if ema < 0.1 and length < 5:
        length += 1
        ema = None
        print("step", step, "length ->", length)
    last.append(loss.item())
    if step % 80 == 0:
        print(step, loss.item())
print("final loss", sum(last[-20:]) / 20)
