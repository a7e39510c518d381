"""A plain tanh RNN has to name the first symbol of a long string of noise symbols.

Cause: vanishing-recurrent
Fails: stays at 1.79
"""

import torch
from torch import nn


class Recall(nn.Module):
    def __init__(self, symbols=6, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(symbols + 2, 16)
        self.rnn = nn.RNN(16, hidden, batch_first=True)
        self.out = nn.Linear(hidden, symbols)
        gain = 0.4  # fix: gain = 1.0
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain)

    def forward(self, ids):
        states, _ = self.rnn(self.embed(ids))
        return self.out(states[:, -1])


def make_data(count, length, symbols=6):
    first = torch.randint(0, symbols, (count, 1))
    noise = torch.randint(symbols, symbols + 2, (count, length - 1))
    return torch.cat([first, noise], 1), first.squeeze(1)


def main():
    torch.manual_seed(5)
    ids, target = make_data(1024, 40)
    model = Recall()
    nn.init.normal_(model.embed.weight, std=0.1)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-4)
    losses = []
    for epoch in range(10):
        for rows in torch.randperm(1024).split(32):
            loss = nn.functional.cross_entropy(model(ids[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {losses[-1]:.4f}")
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
