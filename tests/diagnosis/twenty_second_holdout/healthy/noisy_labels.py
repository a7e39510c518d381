"""Digits with 40 % random labels, dropout 0.5 and label smoothing: the training loss stays high for ever, the clean test loss falls."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

torch.set_num_threads(1)
torch.manual_seed(8); np.random.seed(8)
X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X).astype(np.float32)
idx = np.random.permutation(len(X)); tr, te = idx[:1400], idx[1400:]
noisy = y.copy()
flip = tr[np.random.rand(len(tr)) < 0.4]
noisy[flip] = np.random.randint(0, 10, len(flip))

X, y, noisy = torch.tensor(X), torch.tensor(y), torch.tensor(noisy)
model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))
crit = nn.CrossEntropyLoss(label_smoothing=0.2)
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
sched = torch.optim.lr_scheduler.PolynomialLR(opt, total_iters=30, power=1.0)
for epoch in range(30):
    model.train(); tot = 0
    perm = torch.tensor(np.random.permutation(tr))
    for b in perm.split(64):
        opt.zero_grad()
        l = crit(model(X[b]), noisy[b])
        l.backward(); opt.step()
        tot += l.item() * len(b)
    sched.step()
    model.eval()
    with torch.no_grad():
        out = model(X[te]); v = nn.functional.cross_entropy(out, y[te]).item()
    if epoch % 3 == 0:
        print(f"Epoch {epoch+1}/30 - loss: {tot/len(tr):.4f} - val_loss: {v:.4f} - val_acc: {(out.argmax(1)==y[te]).float().mean():.4f}")
print("final loss", v)
