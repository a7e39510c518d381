"""The adding problem with an identity-initialised ReLU RNN, tutorial style.

Cause: recurrent-gain
Fails: the hidden state and its gradient grow by a third each time step, the loss starts near 1e13 and never gets near the target variance
"""

import torch
from torch import nn

torch.manual_seed(5)
SEQ_LEN, HIDDEN, BATCH = 60, 48, 64


def adding_batch():
    values = torch.rand(SEQ_LEN, BATCH)
    markers = torch.zeros(SEQ_LEN, BATCH)
    first = torch.randint(0, SEQ_LEN // 2, (BATCH,))
    second = torch.randint(SEQ_LEN // 2, SEQ_LEN, (BATCH,))
    cols = torch.arange(BATCH)
    markers[first, cols] = 1
    markers[second, cols] = 1
    target = (values * markers).sum(0)
    return torch.stack([values, markers], dim=-1), target.unsqueeze(1)


class IRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(2, HIDDEN, nonlinearity="relu")
        self.readout = nn.Linear(HIDDEN, 1)
        self.reset_parameters()

    def reset_parameters(self):
        with torch.no_grad():
            self.rnn.weight_ih_l0.normal_(0, 0.05)
            self.rnn.weight_hh_l0.copy_(1.35 * torch.eye(HIDDEN))  # fix: self.rnn.weight_hh_l0.copy_(torch.eye(HIDDEN))
            self.rnn.bias_ih_l0.zero_()
            self.rnn.bias_hh_l0.zero_()
            self.readout.weight.normal_(0, 0.05)
            self.readout.bias.zero_()

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.readout(out[-1])


model = IRNN()
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-4)


def train(n_steps):
    running = []
    for step in range(n_steps):
        x, y = adding_batch()
        pred = model(x)
        loss = loss_fn(pred, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: mse {sum(running[-50:]) / 50:.4f}")
    return running


curve = train(300)
print("final loss", sum(curve[-10:]) / 10)
