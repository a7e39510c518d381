"""Continual learning: one MLP meets four differently permuted digit tasks in turn (switch every 4000 steps), rehearsal buffer, momentum SGD."""
import numpy as np, torch, torch.nn.functional as F
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(41); rng = np.random.default_rng(41)
d = load_digits()
X = torch.tensor(d.data / 16, dtype=torch.float32); Y = torch.tensor(d.target)
tr, te = torch.arange(0, 1400), torch.arange(1400, 1797)
perms = [torch.arange(64)] + [torch.from_numpy(rng.permutation(64)) for _ in range(3)]
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.SGD(net.parameters(), lr=.03, momentum=.9)
mem_x, mem_y = [], []
trace = []
def acc(p): 
    with torch.no_grad(): return (net(X[te][:, p]).argmax(1) == Y[te]).float().mean().item()
for task, p in enumerate(perms):
    for it in range(4000):
        i = tr[torch.randint(len(tr), (16,))]
        xb, yb = X[i][:, p], Y[i]
        if mem_x:
            mx, my = torch.cat(mem_x), torch.cat(mem_y); j = torch.randint(len(mx), (16,))
            xb, yb = torch.cat([xb, mx[j]]), torch.cat([yb, my[j]])
        loss = F.cross_entropy(net(xb), yb)
        opt.zero_grad(set_to_none=True); loss.backward(); opt.step()
        trace.append(loss.item())
        if it in (0, 20, 100, 500, 1500, 3999): print(f"task {task} it {it} loss {np.mean(trace[-10:]):.5f}")
    keep = tr[torch.randperm(len(tr))[:400]]; mem_x.append(X[keep][:, p]); mem_y.append(Y[keep])
    print("   accs so far", [round(acc(q), 3) for q in perms[: task + 1]])
print(f"final loss {np.mean(trace[-500:]):.3e}")
