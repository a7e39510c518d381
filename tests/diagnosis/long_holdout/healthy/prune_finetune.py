"""Magnitude pruning of a wine/breast-cancer style tabular net in three rounds midway (50, 75, 90 %), RMSprop with momentum, dropout off at the end."""
import torch
import torch.nn as nn
import torch.nn.utils.prune as prune
from sklearn.datasets import make_classification
from sklearn.preprocessing import StandardScaler

Xn, yn = make_classification(6000, 24, n_informative=10, n_redundant=4, n_classes=5, n_clusters_per_class=2, class_sep=1.6, random_state=2)
X = torch.tensor(StandardScaler().fit_transform(Xn), dtype=torch.float32); y = torch.tensor(yn)
torch.manual_seed(2)
drop = nn.Dropout(.2)
net = nn.Sequential(nn.Linear(24, 160), nn.ReLU(), drop, nn.Linear(160, 160), nn.ReLU(), drop, nn.Linear(160, 5))
lins = [m for m in net if isinstance(m, nn.Linear)]
opt = torch.optim.RMSprop(net.parameters(), lr=4e-4, momentum=.5)
crit = nn.CrossEntropyLoss()
rounds = {8000: .5, 12000: .5, 16000: .6}
window, total = [], 22000
for step in range(total):
    if step in rounds:
        for m in lins[:2]: prune.l1_unstructured(m, "weight", amount=rounds[step])
        # pruned modules expose weight_orig: point the optimizer at the current parameters
        opt = torch.optim.RMSprop(net.parameters(), lr=opt.param_groups[0]["lr"] * .7, momentum=.5)
        z = sum((m.weight == 0).sum().item() for m in lins[:2]) / sum(m.weight.numel() for m in lins[:2])
        print(f"-- pruned at {step}: sparsity {z:.2f}")
    if step == 19000: drop.p = 0.
    i = torch.randint(0, 5000, (32,))
    loss = crit(net(X[i]), y[i])
    opt.zero_grad(); loss.backward(); opt.step()
    window.append(loss.item())
    if step % 1000 == 999:
        net.eval()
        with torch.no_grad(): v = crit(net(X[5000:]), y[5000:]).item()
        net.train()
        print(f"{step+1} train {sum(window[-500:])/500:.4f} valid {v:.4f}")
print(f"final loss {sum(window[-1000:])/1000:.4f}")
