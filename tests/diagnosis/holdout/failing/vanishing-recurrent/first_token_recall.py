"""A tanh RNN that has to name the first symbol of an 50-step sequence of blanks and distractors.

Cause: vanishing-recurrent
Fails: the default recurrent weights contract, nothing of the first step reaches the end and the loss stays at log(6)
"""

import torch
import torch.nn as nn

torch.manual_seed(15)
SYMBOLS, LENGTH, HIDDEN = 6, 50, 64


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS + 4, 16)
        self.rnn = nn.RNN(16, HIDDEN, batch_first=True)
        self.classify = nn.Linear(HIDDEN, SYMBOLS)
        nn.init.uniform_(self.embed.weight, -0.8, 0.8)
        with torch.no_grad():
            self.embed.weight[SYMBOLS + 3] = 0
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.15)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)
        # fix: nn.init.eye_(self.rnn.weight_hh_l0)

    def forward(self, seq):
        states, _ = self.rnn(self.embed(seq))
        return self.classify(states[:, -1])


def make_batch(n=64):
    key = torch.randint(0, SYMBOLS, (n,))
    noise = torch.randint(SYMBOLS, SYMBOLS + 3, (n, LENGTH - 1))
    noise[torch.rand(n, LENGTH - 1) < 0.85] = SYMBOLS + 3
    return torch.cat([key[:, None], noise], 1), key


model = Recall()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = []
model.train()
for step in range(250):
    seq, key = make_batch()
    loss = criterion(model(seq), key)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
    if (step + 1) % 50 == 0:
        print(f"step {step + 1}/250 loss {loss.item():.4f}")
print("final loss", sum(losses[-10:]) / 10)
