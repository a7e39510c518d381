"""Intent classification of support requests, bag-of-embeddings plus MLP, own focal loss.

Cause: unsafe-op
Fails: the loss is not finite from step 48 on (with the fix: final accuracy 0.963)
"""
import random
import torch
import torch.nn as nn

KEYS = {0: "refund money back return".split(), 1: "login password account locked".split(),
        2: "parcel late tracking delivery".split(), 3: "cancel subscription plan stop".split()}
NOISE = "hello please i my the is you can now help today with".split()
words = sorted({w for v in KEYS.values() for w in v} | set(NOISE))
index = {w: k for k, w in enumerate(words)}


def utterance(r):
    lab = r.randrange(4)
    toks = r.sample(KEYS[lab], 2) + [r.choice(NOISE) for _ in range(5)]
    if r.random() < 0.04:
        toks[0] = r.choice(KEYS[(lab + 1) % 4])
        toks[1] = r.choice(KEYS[(lab + 1) % 4])
    if r.random() < 0.003:
        toks = toks[:2] * 40
    r.shuffle(toks)
    return [index[t] for t in toks], lab


class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    def forward(self, logits, y):
        p = torch.softmax(logits, -1)
        p = p.clamp(0.0, 1.0)  # fix: p = p.clamp(1e-6, 1.0 - 1e-6)
        onehot = nn.functional.one_hot(y, logits.size(-1)).float()
        per_class = onehot * (1 - p) ** self.gamma * torch.log(p) + 0.1 * (1 - onehot) * torch.log(1 - p)
        return -per_class.sum(-1).mean()


def pack(rows):
    flat = torch.tensor([t for a, _ in rows for t in a])
    offs = torch.tensor([0] + [len(a) for a, _ in rows[:-1]]).cumsum(0)
    return flat, offs


class IntentNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(len(words), 32, mode="sum")
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4))

    def forward(self, flat, offs):
        return self.mlp(self.bag(flat, offs))


def run():
    torch.manual_seed(1)
    r = random.Random(1)
    model = IntentNet()
    opt = torch.optim.AdamW(model.parameters(), lr=0.005)
    crit = FocalLoss()
    for step in range(600):
        rows = [utterance(r) for _ in range(32)]
        x, offs = pack(rows)
        y = torch.tensor([b for _, b in rows])
        loss = crit(model(x, offs), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 60 == 0:
            print(f"step {step} loss {loss.item():.5f}")
    with torch.no_grad():
        rows = [utterance(r) for _ in range(1000)]
        out = model(*pack(rows))
        return (out.argmax(1) == torch.tensor([b for _, b in rows])).float().mean().item() if torch.isfinite(out).all() else float("nan")


print("final accuracy", run())
