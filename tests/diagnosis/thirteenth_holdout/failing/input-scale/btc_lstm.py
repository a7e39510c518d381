"""Next-close forecast of a crypto price path with a two-layer LSTM (retail trader notebook).

Cause: input-scale
Fails: final r2 -10.66 (with the fix 0.9978)
"""
import torch
from torch import nn

torch.manual_seed(2024)

T = 1400
noise = torch.randn(T) * 0.01
log_p = torch.zeros(T)
for t in range(1, T):
    log_p[t] = 0.97 * log_p[t - 1] + 0.05 * torch.sin(torch.tensor(t / 9.0)) + noise[t]
close = 43000 * torch.exp(log_p)

SEQ = 24
values = close.clone()  # fix: values = (close - close[:1100].mean()) / close[:1100].std()
X = torch.stack([values[i:i + SEQ] for i in range(T - SEQ)]).unsqueeze(-1)
y = values[SEQ:]
X_train, y_train, X_test, y_test = X[:1100], y[:1100], X[1100:], y[1100:]


class PriceLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=1, hidden_size=32, num_layers=2, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        o, _ = self.lstm(x)
        return self.fc(o[:, -1, :]).squeeze(-1)


model = PriceLSTM()
opt = torch.optim.Adam(model.parameters(), lr=0.005)
for epoch in range(15):
    model.train()
    for i in torch.randperm(1100).split(50):
        loss = nn.functional.mse_loss(model(X_train[i]), y_train[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        p = model(X_test)
        r2 = 1 - (p - y_test).pow(2).mean() / y_test.var()
    print(f"epoch {epoch:02d} train {loss.item():.4f} test r2 {r2.item():.4f}")

print("final r2", r2.item())
