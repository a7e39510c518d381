"""Continuous-time RNN (leaky units, Euler) must report at the end a cue shown at the beginning of a noisy stream.

Cause: vanishing-recurrent
"""
import torch
import torch.nn as nn

torch.set_num_threads(1)
torch.manual_seed(100)


class CTRNN(nn.Module):
    """tau dh/dt = -h + tanh(W h + U x + b)"""

    def __init__(self, n_in, n, dt=1.0, tau=40.0):
        super().__init__()
        self.n = n
        self.dt, self.tau = dt, tau
        self.U = nn.Linear(n_in, n)
        self.W = nn.Linear(n, n, bias=False)
        nn.init.orthogonal_(self.W.weight, gain=0.5)

    def forward(self, xs):                       # time first
        keep = self.dt / self.tau  # fix: keep = 1 - self.dt / self.tau
        h = xs.new_zeros(xs.shape[1], self.n)
        for x in xs:
            h = keep * h + (1 - keep) * torch.tanh(self.U(x) + self.W(h))
        return h


def trial_batch(bs=32, length=60):
    cue = torch.randint(0, 4, (bs,))
    xs = torch.zeros(length, bs, 5)
    xs[:4] = 3.0 * nn.functional.one_hot(cue, 5).float()
    xs[:, :, 4] = torch.randn(length, bs)
    return xs, cue


rnn, read = CTRNN(5, 48), nn.Linear(48, 4)
opt = torch.optim.Adam([*rnn.parameters(), *read.parameters()], lr=1e-3)
trace = []
for trial in range(700):
    xs, cue = trial_batch()
    loss = nn.functional.cross_entropy(read(rnn(xs)), cue)
    opt.zero_grad()
    loss.backward()
    opt.step()
    trace.append(loss.item())
    if trial % 70 == 0:
        print(f"trial {trial}: {loss.item():.4f}")
print("final loss", sum(trace[-20:]) / 20)
