"""Full-batch gradient descent at the edge of stability: a tanh net on a small regression set with a large constant step."""
import numpy as np, torch
torch.manual_seed(2); torch.set_default_dtype(torch.float32)
n, d = 96, 6
X = torch.randn(n, d); y = (torch.sin(2*X[:, :1]) * X[:, 1:2] + .5 * torch.tanh(X[:, 2:3] * 2))
W = [torch.nn.Parameter(torch.randn(d, 64) / d**.5), torch.nn.Parameter(torch.zeros(64)),
     torch.nn.Parameter(torch.randn(64, 64) / 8), torch.nn.Parameter(torch.zeros(64)),
     torch.nn.Parameter(torch.randn(64, 1) / 8)]
def f(x): return torch.tanh(torch.tanh(x @ W[0] + W[1]) @ W[2] + W[3]) @ W[4]
def sharpness(it=25):
    v = [torch.randn_like(w) for w in W]
    for _ in range(it):
        nv = sum((a*a).sum() for a in v)**.5; v = [a/nv for a in v]
        g = torch.autograd.grad(((f(X)-y)**2).mean(), W, create_graph=True)
        v = [h.detach() for h in torch.autograd.grad(sum((a*b).sum() for a, b in zip(g, v)), W)]
    return float(sum((a*a).sum() for a in v)**.5)

lr = .12
opt = torch.optim.SGD(W, lr=lr)
ups, hist = 0, []
for i in range(30000):
    loss = ((f(X) - y)**2).mean()
    opt.zero_grad(); loss.backward(); opt.step()
    hist.append(loss.item())
    ups += i > 0 and hist[-1] > hist[-2]
    if i % 3000 == 0: print(i, f"loss {loss.item():.3e}  sharpness*lr/2 {sharpness()*lr/2:.2f}  uphill steps {ups}")
print(f"final loss {np.mean(hist[-500:]):.3e}")
