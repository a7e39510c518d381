"""A GRU has to remember which of eight symbols opened a sequence of distractors: the loss lies on a plateau for some
hundred steps before it falls."""

import torch
import torch.nn as nn


class Memory(nn.Module):
    def __init__(self, symbols=8, distractors=4, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(symbols + distractors, 16)
        self.gru = nn.GRU(16, hidden, batch_first=True)
        self.out = nn.Linear(hidden, symbols)

    def forward(self, text):
        return self.out(self.gru(self.embed(text))[1][0])


def batches(size, delay):
    while True:
        first = torch.randint(0, 8, (size, 1))
        yield torch.cat([first, torch.randint(8, 12, (size, delay))], 1), first.squeeze(1)


def main():
    torch.manual_seed(15)
    model = Memory()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for step, (text, first) in zip(range(800), batches(24, 18)):
        loss = nn.functional.cross_entropy(model(text), first)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        history.append(loss.item())
        if step % 100 == 0:
            print(step, loss.item())
    print("final loss", sum(history[-20:]) / 20)


if __name__ == "__main__":
    main()
