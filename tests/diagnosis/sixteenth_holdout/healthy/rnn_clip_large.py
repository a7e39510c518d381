"""Plain tanh RNN predicting a chaotic map; raw gradient norms are huge now and then and are clipped."""
import torch
import torch.nn as nn

torch.manual_seed(14)
v = torch.empty(4000)
v[0] = 0.37
for i in range(1, 4000):
    v[i] = 3.7 * v[i - 1] * (1 - v[i - 1])
v = (v - v.mean()) / v.std()
rnn, out = nn.RNN(1, 48, batch_first=True), nn.Linear(48, 1)
nn.init.orthogonal_(rnn.weight_hh_l0, gain=1.2)
ps = [*rnn.parameters(), *out.parameters()]
opt = torch.optim.Adam(ps, lr=2e-3)
big, rec = 0.0, []
for it in range(1500):
    i = torch.randint(0, 3960, (32,))
    w = torch.stack([v[k:k + 33] for k in i])
    loss = (out(rnn(w[:, :-1, None])[0]).squeeze(2) - w[:, 1:]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    big = max(big, nn.utils.clip_grad_norm_(ps, 0.5).item())
    opt.step()
    rec.append(loss.item())
    if it % 150 == 0:
        print(f"it {it} mse {loss.item():.5f} largest norm {big:.2f}")
        big = 0.0
print(f"final loss {sum(rec[-50:]) / 50:.6f}")
