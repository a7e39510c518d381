"""Row-by-row classification of tiny images with an identity-initialised ReLU RNN (SGD).

Cause: recurrent-gain
Fails: the loss starts at 5.4e4 and is not finite from step 1 on
First bad: step 1, forward, addmm
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Strokes(Dataset):
    """16x16 images: horizontal or vertical stroke, with noise."""

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 2, (n,), generator=g)
        self.x = 0.1 * torch.rand(n, 16, 16, generator=g)
        where = torch.randint(2, 14, (n,), generator=g).tolist()
        for i, (label, k) in enumerate(zip(self.y.tolist(), where)):
            if label:
                self.x[i, k, 3:13] += 1.0
            else:
                self.x[i, 3:13, k] += 1.0

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return 3 * self.x[i] - 0.3, self.y[i]


class IRNN(nn.Module):
    def __init__(self, hidden=40, scale=1.0):
        super().__init__()
        self.rnn = nn.RNN(16, hidden, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(hidden, 2)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(scale * torch.eye(hidden))
            self.rnn.weight_ih_l0.mul_(0.3)
            self.rnn.bias_hh_l0.zero_()
            self.rnn.bias_ih_l0.zero_()

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.fc(h.mean(1))


def main(epochs=5):
    torch.manual_seed(1)
    loader = DataLoader(Strokes(960, 0), batch_size=16, shuffle=True)
    model = IRNN(scale=3.5)  # fix: model = IRNN(scale=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.004, momentum=0.9)
    losses = []
    for _ in range(epochs):
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


main()
