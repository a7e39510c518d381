"""DQN-style learning on a small grid with a Polyak target net; the TD loss rises while values grow."""
import torch
import torch.nn as nn

torch.manual_seed(17)
S, G = 16, 0.9
q = nn.Sequential(nn.Linear(S, 64), nn.ReLU(), nn.Linear(64, 4))
tgt = nn.Sequential(nn.Linear(S, 64), nn.ReLU(), nn.Linear(64, 4))
tgt.load_state_dict(q.state_dict())
eye = torch.eye(S)
opt = torch.optim.Adam(q.parameters(), lr=1e-3)


def env(s, a):
    r, c = s // 4, s % 4
    r = (r + (a == 0).long() - (a == 1).long()).clamp(0, 3)
    c = (c + (a == 2).long() - (a == 3).long()).clamp(0, 3)
    n = r * 4 + c
    return n, (n == 15).float() * 10 - 0.1, (n == 15).float()


ss, aa = torch.arange(S).repeat_interleave(4), torch.arange(4).repeat(S)
nn_, rr, dd = env(ss, aa)
Q = torch.zeros(S, 4)
for _ in range(300):
    Q = (rr + G * (1 - dd) * Q.max(1).values[nn_]).view(S, 4)
gap0 = (q(eye) - Q).pow(2).mean().item()
print("start value error", gap0)
for it in range(4000):
    s, a = torch.randint(0, S, (64,)), torch.randint(0, 4, (64,))
    n, r, d = env(s, a)
    with torch.no_grad():
        y = r + G * (1 - d) * tgt(eye[n]).max(1).values
    loss = (q(eye[s])[torch.arange(64), a] - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        for t, p in zip(tgt.parameters(), q.parameters()):
            t.lerp_(p, 0.01)
    if it % 400 == 0:
        print(f"{it} td {loss.item():.4f}")
print(f"final loss {(q(eye) - Q).pow(2).mean().item():.5f}")
