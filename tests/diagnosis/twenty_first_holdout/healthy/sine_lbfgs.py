"""Trains the PyTorch time-sequence example: two LSTM cells in double precision with LBFGS at learning rate 0.8."""
import numpy as np
import torch
import torch.nn as nn

np.random.seed(2)
torch.manual_seed(0)
torch.set_num_threads(1)
T, L, N = 20, 60, 24
x = np.arange(L) + np.random.randint(-4 * T, 4 * T, N).reshape(N, 1)
data = torch.from_numpy(np.sin(x / 1.0 / 4).astype("float64"))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1, self.lstm2, self.linear = nn.LSTMCell(1, 20), nn.LSTMCell(20, 20), nn.Linear(20, 1)

    def forward(self, inp, future=0):
        h1 = c1 = h2 = c2 = torch.zeros(inp.size(0), 20, dtype=torch.double)
        out = []
        for t in range(inp.size(1) + future):
            v = inp[:, t:t + 1] if t < inp.size(1) else out[-1]
            h1, c1 = self.lstm1(v, (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            out.append(self.linear(h2))
        return torch.cat(out, 1)


seq = Sequence().double()
criterion = nn.MSELoss()
optimizer = torch.optim.LBFGS(seq.parameters(), lr=0.8, max_iter=12)
for step in range(14):
    def closure():
        optimizer.zero_grad()
        loss = criterion(seq(data[3:, :-1]), data[3:, 1:])
        loss.backward()
        return loss

    print("step", step, "loss", optimizer.step(closure).item())
with torch.no_grad():
    print("final loss", criterion(seq(data[:3, :-1]), data[:3, 1:]).item())
