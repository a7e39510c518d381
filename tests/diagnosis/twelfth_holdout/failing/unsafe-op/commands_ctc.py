"""Spoken-command recogniser: synthetic filterbank frames -> phone sequence, conv + BiGRU + CTC.

Cause: unsafe-op
Fails: final phone error rate 1 (with the fix 0.0149)
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(1)
rng = np.random.RandomState(1)
N_PHONES, N_MEL = 9, 16
TEMPLATES = rng.randn(N_PHONES + 1, N_MEL) * 1.2


def utterance():
    phones = rng.randint(1, N_PHONES + 1, size=rng.randint(2, 6))
    frames = []
    for p in phones:
        dur = rng.randint(5, 9)
        frames.append(TEMPLATES[p] + 0.5 * rng.randn(dur, N_MEL))
        frames.append(0.3 * rng.randn(rng.randint(1, 3), N_MEL))
    return np.concatenate(frames).astype(np.float32), phones


def build(n):
    return [utterance() for _ in range(n)]


class Dataset(torch.utils.data.Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(batch):
    fl = torch.tensor([len(f) for f, _ in batch])
    tl = torch.tensor([len(p) for _, p in batch])
    x = torch.zeros(len(batch), int(fl.max()), N_MEL)
    for i, (f, _) in enumerate(batch):
        x[i, :len(f)] = torch.from_numpy(f)
    y = torch.cat([torch.as_tensor(p, dtype=torch.long) for _, p in batch])
    return x, fl, y, tl


class Recognizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.sub = nn.Sequential(nn.Conv1d(N_MEL, 48, 5, stride=2, padding=2), nn.ReLU())
        self.rnn = nn.GRU(48, 40, bidirectional=True, batch_first=True)
        self.out = nn.Linear(80, N_PHONES + 1)

    def forward(self, x, lens):
        h = self.sub(x.transpose(1, 2)).transpose(1, 2)
        h, _ = self.rnn(h)
        return self.out(h).log_softmax(-1), (lens - 1) // 2 + 1


def greedy(lp, n):
    best = lp[:n].argmax(-1).tolist()
    out, prev = [], 0
    for b in best:
        if b != prev and b != 0:
            out.append(b)
        prev = b
    return out


def edit(a, b):
    d = list(range(len(b) + 1))
    for i, ca in enumerate(a, 1):
        prev, d[0] = d[0], i
        for j, cb in enumerate(b, 1):
            prev, d[j] = d[j], min(d[j] + 1, d[j - 1] + 1, prev + (ca != cb))
    return d[-1]


train, test = build(900), build(120)
for k in (155, 480, 811):
    f, p = train[k]
    train[k] = (f[:6], rng.randint(1, N_PHONES + 1, size=5))
# fix: train = [(f, p) for f, p in train if len(f) >= 3 * len(p)]

loader = torch.utils.data.DataLoader(Dataset(train), 24, shuffle=True, collate_fn=collate)
model = Recognizer()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-4)
ctc = nn.CTCLoss(blank=0)
for epoch in range(6):
    acc = []
    for x, fl, y, tl in loader:
        lp, ol = model(x, fl)
        loss = ctc(lp.transpose(0, 1), y, ol, tl)
        opt.zero_grad()
        loss.backward()
        opt.step()
        acc.append(loss.item())
    print(f"epoch {epoch} ctc {np.mean(acc):.4f}")

model.eval()
wrong = total = 0
with torch.no_grad():
    x, fl, y, tl = collate(test)
    lp, ol = model(x, fl)
    for i, (_, ph) in enumerate(test):
        wrong += edit(greedy(lp[i], int(ol[i])), ph.tolist())
        total += len(ph)
print(f"final phone error rate {wrong / total:.4f}")
