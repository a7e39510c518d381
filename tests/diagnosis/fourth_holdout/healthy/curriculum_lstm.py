"""An LSTM counting task (running difference of a's and b's) with strings that get longer in jumps.

Looks nasty: each lengthening makes the loss jump, and the rate is annealed with a cyclic schedule on top.
"""
import torch
import torch.nn as nn


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTMCell(2, 32)
        self.o = nn.Linear(32, 1)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[0], 32)
        ys = []
        for t in range(x.shape[1]):
            h, c = self.lstm(x[:, t], (h, c))
            ys.append(self.o(h))
        return torch.cat(ys, 1)


def strings(n, length):
    s = torch.randint(0, 2, (n, length))
    return nn.functional.one_hot(s, 2).float(), (1.0 - 2.0 * s).cumsum(1)


torch.manual_seed(20)
model = Counter()
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.CyclicLR(opt, 5e-4, 4e-3, step_size_up=40, mode="triangular2", cycle_momentum=False)
recent = []
lengths = [8, 16, 32, 48]
for step in range(420):
    L = lengths[min(step // 90, 3)]
    x, y = strings(32, L)
    loss = nn.functional.mse_loss(model(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    recent = recent[-29:] + [loss.item()]
    if step % 30 == 0:
        print(f"step {step} length {L} loss {loss.item():.4f}")
print("final loss", sum(recent) / len(recent))
