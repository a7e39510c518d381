"""Trains a ReLU recurrent character model on a made-up phrase corpus.
Cause: recurrent-gain
Fails: the loss is huge (1e9) at the first step and still in the thousands at the end.
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(4)
torch.manual_seed(4)
words = "the old river runs under a stone bridge while small boats drift home before night rain falls on quiet fields".split()
text = " ".join(random.choice(words) for _ in range(6000))
chars = sorted(set(text))
data = torch.tensor([chars.index(c) for c in text])
V, H, T, B = len(chars), 96, 60, 32


class CharRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V, 32)
        self.rnn = nn.RNN(32, H, nonlinearity="relu", batch_first=True)
        self.o = nn.Linear(H, V)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(torch.eye(H))
            self.rnn.weight_hh_l0.mul_(1.5)  # fix: self.rnn.weight_hh_l0.mul_(0.9)
            self.rnn.weight_ih_l0.normal_(0, 0.1)

    def forward(self, x):
        h, _ = self.rnn(self.e(x))
        return self.o(h)


m = CharRNN()
opt = torch.optim.RMSprop(m.parameters(), lr=1e-3)
losses = []
for step in range(300):
    i = torch.randint(0, len(data) - T - 1, (B,))
    seq = torch.stack([data[k:k + T + 1] for k in i])
    loss = F.cross_entropy(m(seq[:, :-1]).reshape(-1, V), seq[:, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(m.parameters(), 5.0)
    opt.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-20:]) / 20)
