"""Remember the first symbol of a stream of distractors and name it 30 steps later.

Cause: vanishing-recurrent
Fails: final recall accuracy 0.135 (with the fix 1)
"""
import torch
import torch.nn as nn


class Cell(nn.Module):
    def __init__(self, i, h):
        super().__init__()
        self.x2h = nn.Linear(i, h)
        self.h2h = nn.Linear(h, h, bias=False)

    def forward(self, x, h):
        return torch.tanh(self.x2h(x) + self.h2h(h))


class Recall(nn.Module):
    def __init__(self, symbols, hidden):
        super().__init__()
        self.hidden = hidden
        self.cell = Cell(symbols + 4, hidden)
        self.cls = nn.Linear(hidden, symbols)

    def forward(self, seq):
        h = torch.zeros(seq.shape[1], self.hidden)
        for x in seq:
            h = self.cell(x, h)
        return self.cls(h)


def init_weights(m):
    if isinstance(m, Cell):
        nn.init.normal_(m.h2h.weight, std=0.02)  # fix: nn.init.orthogonal_(m.h2h.weight)
        nn.init.normal_(m.x2h.weight, std=0.1)
        nn.init.zeros_(m.x2h.bias)


def make_batch(n, symbols, delay):
    y = torch.randint(symbols, (n,))
    seq = torch.zeros(delay + 1, n, symbols + 4)
    seq[0, torch.arange(n), y] = 1
    noise = torch.randint(4, (delay, n))
    seq[1:].scatter_(2, (symbols + noise).unsqueeze(-1), 0.3)
    return seq, y


def train(steps=400, symbols=8, delay=30, hidden=64, lr=1e-3, bs=64):
    model = Recall(symbols, hidden)
    model.apply(init_weights)
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    crit = nn.CrossEntropyLoss()
    hist = []
    for step in range(steps):
        x, y = make_batch(bs, symbols, delay)
        loss = crit(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if (step + 1) % 80 == 0:
            print(f"step {step + 1}: loss {sum(hist[-80:]) / 80:.4f}")
    return model


def accuracy(model, n=1000, symbols=8, delay=30):
    with torch.no_grad():
        x, y = make_batch(n, symbols, delay)
        return (model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(17)
    net = train()
    print("final recall accuracy: {:.4f}".format(accuracy(net)))
