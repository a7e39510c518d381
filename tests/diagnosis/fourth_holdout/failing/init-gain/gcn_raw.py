"""A five-layer graph convolution in raw tensors on a planted-partition graph.

Cause: init-gain
Fails: the first loss is 2.7e3, then 8e7, 4e14, and nan from iteration 3 on
"""
import torch
from torch.autograd import grad

torch.manual_seed(5)
N, C, F_IN, H = 400, 4, 32, 96

# --- the graph: four communities -------------------------------------------
label = torch.arange(N) % C
same = label[:, None] == label[None, :]
prob = torch.where(same, 0.06, 0.012)
A = (torch.rand(N, N) < prob).float().triu(1)
A = A + A.T + torch.eye(N)
dinv = A.sum(1).rsqrt()
A = dinv[:, None] * A * dinv[None, :]
X = torch.randn(N, F_IN) + 0.6 * torch.nn.functional.one_hot(label, F_IN).float()
train = torch.rand(N) < 0.5


def weight(n_in, n_out):
    w = torch.randn(n_in, n_out)  # fix: w = torch.randn(n_in, n_out) * (2.0 / n_in) ** 0.5
    return w.requires_grad_()


params = [weight(F_IN, H), weight(H, H), weight(H, H), weight(H, H), weight(H, C)]


def logits(x):
    for w in params[:-1]:
        x = torch.relu(A @ (x @ w))
    return A @ (x @ params[-1])


def nll(z, mask):
    return (torch.logsumexp(z, 1) - z[torch.arange(N), label])[mask].mean()


lr = 0.1
hist = []
for it in range(400):
    loss = nll(logits(X), train)
    gs = grad(loss, params)
    with torch.no_grad():
        for p, g in zip(params, gs):
            p -= lr * g
    hist.append(float(loss.detach()))
    if it % 60 == 0:
        with torch.no_grad():
            acc = (logits(X).argmax(1) == label)[~train].float().mean().item()
        print(f"it {it} loss {hist[-1]:.4f} test acc {acc:.3f}")
print("final loss", sum(hist[-20:]) / 20)
