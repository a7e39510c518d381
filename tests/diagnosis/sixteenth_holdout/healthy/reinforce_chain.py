"""REINFORCE on a corridor; noisy returns and a surrogate loss that means little."""
import torch
import torch.nn as nn

torch.manual_seed(4)
N = 7
pi = nn.Sequential(nn.Linear(N, 32), nn.Tanh(), nn.Linear(32, 2))
opt = torch.optim.Adam(pi.parameters(), lr=5e-3)
eye = torch.eye(N)
base, fails = 0.0, []
for ep in range(350):
    pos = torch.full((24,), N // 2)
    logp, done, ret = 0.0, torch.zeros(24), torch.zeros(24)
    for t in range(14):
        d = torch.distributions.Categorical(logits=pi(eye[pos]))
        a = d.sample()
        logp = logp + d.log_prob(a) * (1 - done)
        pos = (pos + 2 * a - 1).clamp(0, N - 1)
        win, lose = (pos == N - 1).float(), (pos == 0).float()
        ret = ret + (win * (1 - 0.03 * t) - lose) * (1 - done)
        done = torch.maximum(done, torch.maximum(win, lose))
    base = 0.9 * base + 0.1 * ret.mean().item()
    loss = -((ret - base) * logp).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    fails.append(1 - ret.mean().item())
    if ep % 25 == 0:
        print(f"update {ep} surrogate {loss.item():+.4f} return {ret.mean().item():+.3f}")
print(f"final loss {sum(fails[-30:]) / 30:.4f}")
