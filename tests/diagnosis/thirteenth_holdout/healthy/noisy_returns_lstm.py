"""Daily return sign-and-size forecast with an LSTM where most of the variance is noise."""
import torch
from torch import nn

torch.manual_seed(8)
T = 6000
eps = torch.randn(T)
r = torch.zeros(T)
for t in range(2, T):
    r[t] = 0.30 * r[t - 1] - 0.15 * r[t - 2] + eps[t]
r = r / r.std()
W = 12
X = r.unfold(0, W, 1)[:-1].unsqueeze(-1)
Y = r[W:]
cut = 4800


class Alpha(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 16, batch_first=True)
        self.fc = nn.Linear(16, 1)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1]).squeeze(-1)


net = Alpha()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.3)


def valid():
    with torch.no_grad():
        return nn.functional.mse_loss(net(X[cut:]), Y[cut:]).item()


print("valid before", valid(), "variance", Y[cut:].var().item())
for epoch in range(5):
    for i in torch.randperm(cut).split(64):
        loss = nn.functional.mse_loss(net(X[i]), Y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "valid mse", round(valid(), 4))
print("final loss", valid())
