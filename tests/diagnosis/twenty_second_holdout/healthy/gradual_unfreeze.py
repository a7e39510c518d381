"""Transfer on text: a pre-trained GRU encoder is frozen, the head learns first, layers are released one after the other with fresh optimizer groups."""
import random
import torch
import torch.nn as nn

torch.set_num_threads(1)
random.seed(23)
torch.manual_seed(23)

POS = "good great lovely warm bright kind fine".split()
NEG = "bad awful cold dull rude poor grim".split()
FILL = "the a film book meal was and very rather place with it seemed".split()
NOT = "not"
V = {w: i + 1 for i, w in enumerate(POS + NEG + FILL + [NOT])}


def review():
    s, label = [], random.random() < 0.5
    for _ in range(random.randint(1, 3)):
        s += random.choices(FILL, k=random.randint(1, 4))
        neg = random.random() < 0.35
        bank = POS if label != neg else NEG
        s += ([NOT] if neg else []) + [random.choice(bank)]
    return [V[w] for w in s], float(label)


def batch(n=32):
    r = [review() for _ in range(n)]
    L = max(len(a) for a, _ in r)
    x = torch.zeros(n, L, dtype=torch.long)
    for i, (a, _) in enumerate(r):
        x[i, L - len(a):] = torch.tensor(a)
    return x, torch.tensor([b for _, b in r])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(len(V) + 1, 24)
        self.g1 = nn.GRU(24, 32, batch_first=True)
        self.g2 = nn.GRU(32, 32, batch_first=True)

    def forward(self, x):
        return self.g2(self.g1(self.emb(x))[0])[0]


enc = Encoder()
# stage 0: language modelling as the pre-training task
lm = nn.Linear(32, len(V) + 1)
pre = torch.optim.Adam([*enc.parameters(), *lm.parameters()], lr=5e-3)
for i in range(150):
    x, _ = batch()
    loss = nn.functional.cross_entropy(lm(enc(x[:, :-1])).transpose(1, 2), x[:, 1:], ignore_index=0)
    pre.zero_grad(); loss.backward(); pre.step()
    if i % 50 == 0:
        print("pretrain", i, round(loss.item(), 3))

head = nn.Linear(32, 1)
for p in enc.parameters():
    p.requires_grad_(False)
opt = torch.optim.Adam(head.parameters(), lr=1e-2)
release = {150: enc.g2, 250: enc.g1, 350: enc.emb}
hist = []
for i in range(600):
    if i in release:
        ps = list(release[i].parameters())
        for p in ps:
            p.requires_grad_(True)
        opt.add_param_group({"params": ps, "lr": 3e-3})
        print("released a layer at", i)
    x, y = batch()
    loss = nn.functional.binary_cross_entropy_with_logits(head(enc(x)[:, -1]).squeeze(1), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if i % 60 == 0:
        print("tune", i, round(sum(hist[-20:]) / len(hist[-20:]), 4))
print("final loss", sum(hist[-20:]) / 20)
