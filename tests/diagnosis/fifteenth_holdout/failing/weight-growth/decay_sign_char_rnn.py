"""A character-level RNN on a page about a lighthouse with a hand-written optimizer that has decoupled weight decay.

Cause: weight-growth
Fails: the decay is added instead of taken away, every weight swells by the same factor at each step
"""
import torch
from torch import nn

TEXT = (
    "The lamp is lit at dusk and put out at dawn, and between the two somebody must be awake. "
    "There were three keepers on the rock and they took the night in turns of four hours. "
    "The one on watch wound the clockwork, trimmed the wick, and wrote in the log what passed. "
    "Most nights nothing passed. The wind had a dozen voices and he knew them all by name. "
    "When fog came in he rang the bell, and then nobody slept, and in the morning they were cross. "
    "The boat came on the first of the month if the sea allowed it, with oil and flour and letters. "
    "Once it did not come for nine weeks, and they ate limpets, and played the same game of draughts."
)
alphabet = "".join(sorted(set(TEXT)))
stream = torch.tensor([alphabet.index(c) for c in TEXT])


class DecoupledSign(torch.optim.Optimizer):
    """Lion: the sign of an interpolated momentum, with decoupled decay."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                st = self.state[p]
                if not st:
                    st["m"] = torch.zeros_like(p)
                p.mul_(1 + group["lr"] * group["weight_decay"])  # fix: p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(torch.lerp(p.grad, st["m"], b1).sign_(), alpha=-group["lr"])
                st["m"].lerp_(p.grad, 1 - b2)


torch.manual_seed(12)
emb = nn.Embedding(len(alphabet), 24)
rnn = nn.LSTM(24, 72, batch_first=True)
out = nn.Linear(72, len(alphabet))
params = [p for m in (emb, rnn, out) for p in m.parameters()]
opt = DecoupledSign(params, lr=2e-3, weight_decay=4.0)
log = []
for step in range(420):
    s = torch.randint(0, len(stream) - 33, (20,))
    w = stream[s[:, None] + torch.arange(33)]
    loss = nn.functional.cross_entropy(out(rnn(emb(w[:, :-1]))[0]).transpose(1, 2), w[:, 1:])
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if step % 50 == 0:
        print(step, log[-1])
print("final loss", sum(log[-25:]) / 25)
