"""The adding problem with a hand-written rectified recurrent net (after Le, Jaitly and Hinton).

Cause: recurrent-gain
"""
import torch
torch.set_num_threads(1)
g = torch.Generator().manual_seed(3)

T, B, H = 50, 64, 64


def batch():
    v = torch.rand(B, T, generator=g)
    m = torch.zeros(B, T)
    i = torch.randint(0, T // 2, (B,), generator=g)
    j = torch.randint(T // 2, T, (B,), generator=g)
    m[torch.arange(B), i] = 1
    m[torch.arange(B), j] = 1
    return torch.stack([v, m], -1), (v * m).sum(1)


U = (torch.randn(2, H, generator=g) * 0.1).requires_grad_()
W = (torch.eye(H) + torch.randn(H, H, generator=g) / H ** 0.5).requires_grad_()  # fix: W = (torch.eye(H) + torch.randn(H, H, generator=g) / H ** 1.5).requires_grad_()
b = torch.zeros(H, requires_grad=True)
V = (torch.randn(H, generator=g) / H).requires_grad_()
c = torch.zeros((), requires_grad=True)
P = [U, W, b, V, c]
opt = torch.optim.RMSprop(P, lr=5e-4, alpha=0.9)

hist = []
for it in range(900):
    x, y = batch()
    h = x.new_zeros(B, H)
    for t in range(T):
        h = torch.relu(x[:, t] @ U + h @ W + b)
    loss = (h @ V + c - y).square().mean()
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(P, 1.0)
    opt.step()
    hist.append(loss.item())
    if it % 100 == 0:
        print(it, hist[-1])
print("final loss", sum(hist[-20:]) / 20)
