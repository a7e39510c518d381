"""Sentiment of token bags + CNN text classifier, float16 autocast with GradScaler, SGD with momentum.

Cause: clip-before-unscale
Fails: clip_grad_norm_ works on gradients times 65536, so after unscaling they are 1.5e-5 long; the loss stays at 0.692
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2021)
rng = np.random.RandomState(2021)
VOCAB, MAXLEN = 500, 30
polarity = rng.randn(VOCAB)


def fake_reviews(n):
    toks = rng.randint(1, VOCAB, size=(n, MAXLEN))
    lens = rng.randint(8, MAXLEN + 1, size=n)
    for i, l in enumerate(lens):
        toks[i, l:] = 0
    s = (polarity[toks] * (toks > 0)).sum(1) / np.sqrt(lens)
    return torch.tensor(toks), torch.tensor((s > 0).astype(np.int64))


class TextCNN(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, d, padding_idx=0)
        self.conv = nn.Conv1d(d, 64, 3, padding=1)
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 2)

    def forward(self, x):
        m = (x > 0).float().unsqueeze(1)
        h = F.relu(self.conv(self.emb(x).transpose(1, 2)))
        h = (h * m).sum(-1) / m.sum(-1)
        return self.fc2(F.relu(self.fc1(h)))


train = TensorDataset(*fake_reviews(4000))
xv, yv = fake_reviews(800)
loader = DataLoader(train, batch_size=40, shuffle=True, generator=torch.Generator().manual_seed(0))

model = TextCNN()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)

for epoch in range(8):
    model.train()
    run = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            logits = model(xb)
            loss = F.cross_entropy(logits.float(), yb)
        scaler.scale(loss).backward()
        # fix: scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        run += loss.item()
    model.eval()
    with torch.no_grad():
        acc = (model(xv).argmax(1) == yv).float().mean().item()
    print(f"Epoch {epoch}: train {run / len(loader):.4f} val acc {acc:.3f} scale {scaler.get_scale():.0f}")
print("final loss", run / len(loader))
