"""Transfer learning: pretrain a conv encoder by rotation, then progressive unfreezing with CPU fp16 autocast + GradScaler and SWA at the end."""
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.optim.swa_utils import AveragedModel, SWALR, update_bn

torch.manual_seed(29)
d = load_digits()
X = torch.tensor(d.images / 16, dtype=torch.float32)[:, None]; Y = torch.tensor(d.target)
perm = torch.randperm(len(X)); X, Y = X[perm], Y[perm]
Xtr, Ytr, Xte, Yte = X[:1400], Y[:1400], X[1400:], Y[1400:]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([
            nn.Sequential(nn.Conv2d(1, 12, 3, 1, 1), nn.GroupNorm(3, 12), nn.ReLU()),
            nn.Sequential(nn.Conv2d(12, 24, 3, 2, 1), nn.GroupNorm(3, 24), nn.ReLU()),
            nn.Sequential(nn.Conv2d(24, 32, 3, 2, 1), nn.GroupNorm(4, 32), nn.ReLU(), nn.Flatten(), nn.Dropout(.1))])
        self.rot = nn.Linear(128, 4); self.cls = nn.Linear(128, 10)
    def feats(self, x):
        for s in self.stages: x = s(x)
        return x
    def forward(self, x): return self.cls(self.feats(x))

net = Net(); log = []
def note(i, tag):
    if i % 500 == 0: print(tag, i, f"{np.mean(log[-100:]):.4f}")
# 1. self-supervised rotation
opt = torch.optim.AdamW(net.parameters(), 2e-3)
for i in range(1000):
    x = Xtr[torch.randint(1400, (24,))]; k = torch.randint(4, (24,))
    xr = torch.stack([torch.rot90(a, int(r), (1, 2)) for a, r in zip(x, k)])
    loss = F.cross_entropy(net.rot(net.feats(xr)), k)
    opt.zero_grad(); loss.backward(); opt.step(); log.append(loss.item()); note(i, "rot")
# 2. head only, then unfreeze from the top
for p in net.stages.parameters(): p.requires_grad_(False)
opt = torch.optim.SGD([{"params": net.cls.parameters(), "lr": .02}], momentum=.9, weight_decay=1e-4)
scaler = torch.amp.GradScaler("cpu", init_scale=2.**12, growth_interval=1000)
swa = None; sched = None
for i in range(4500):
    if i in (1000, 2000, 3000):
        st = net.stages[2 - (i // 1000 - 1)]
        for p in st.parameters(): p.requires_grad_(True)
        opt.add_param_group({"params": st.parameters(), "lr": .02 / 2 ** (i // 1000)})
        print("-- unfroze stage", 2 - (i // 1000 - 1))
    if i == 3600: swa = AveragedModel(net); sched = SWALR(opt, swa_lr=.005, anneal_epochs=200)
    j = torch.randint(1400, (24,)); x = Xtr[j] + .1 * torch.randn(24, 1, 8, 8)
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(x)
    loss = F.cross_entropy(out.float(), Ytr[j], label_smoothing=.02)
    opt.zero_grad(); scaler.scale(loss).backward(); scaler.step(opt); scaler.update()
    log.append(loss.item()); note(i, "cls")
    if swa is not None:
        sched.step()
        if i % 20 == 0: swa.update_parameters(net)
swa.eval()
with torch.no_grad(): print("swa test acc", (swa(Xte).argmax(1) == Yte).float().mean().item(), "scale", scaler.get_scale())
print(f"final loss {np.mean(log[-500:]):.4f}")
