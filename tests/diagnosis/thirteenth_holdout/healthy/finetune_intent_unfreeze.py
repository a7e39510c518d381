"""Pre-train a GRU language model on commands, then fine-tune it for intents: head first, all later."""
import random
import torch
from torch import nn

INTENTS = {0: ("turn on the {}", "switch the {} on please"), 1: ("turn off the {}", "could you switch off the {}"),
           2: ("is the {} on", "tell me whether the {} is running"), 3: ("make the {} brighter", "increase the {} a bit")}
DEV = "lamp heater fan oven radio screen".split()
rng = random.Random(3)
torch.manual_seed(3)


def draw():
    k = rng.randrange(4)
    return rng.choice(INTENTS[k]).format(rng.choice(DEV)).split(), k


vocab = {"<p>": 0}
for ts in INTENTS.values():
    for t in ts:
        for w in t.replace("{}", "").split() + DEV:
            vocab.setdefault(w, len(vocab))


def batch(n=24):
    rows = [draw() for _ in range(n)]
    L = max(len(w) for w, _ in rows)
    return torch.tensor([[0] * (L - len(w)) + [vocab[t] for t in w] for w, _ in rows]), torch.tensor([k for _, k in rows])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(len(vocab), 24, padding_idx=0)
        self.gru = nn.GRU(24, 40, batch_first=True)

    def forward(self, x):
        return self.gru(self.emb(x))[0]


enc, lm_head, cls = Encoder(), nn.Linear(40, len(vocab)), nn.Linear(40, 4)
opt = torch.optim.Adam([*enc.parameters(), *lm_head.parameters()], lr=3e-3)
for i in range(200):
    x, _ = batch()
    loss = nn.functional.cross_entropy(lm_head(enc(x[:, :-1])).transpose(1, 2), x[:, 1:], ignore_index=0)
    opt.zero_grad(); loss.backward(); opt.step()
    if i % 50 == 0:
        print("pretrain", i, loss.item())

for p in enc.parameters():
    p.requires_grad_(False)
opt = torch.optim.SGD(cls.parameters(), lr=0.5)
for i in range(200):
    if i == 80:
        for p in enc.parameters():
            p.requires_grad_(True)
        opt.add_param_group({"params": list(enc.parameters()), "lr": 0.05})
    x, k = batch()
    loss = nn.functional.cross_entropy(cls(enc(x)[:, -1]), k, label_smoothing=0.05)
    opt.zero_grad(); loss.backward(); opt.step()
    if i % 40 == 0:
        print("finetune", i, loss.item())
x, k = batch(300)
with torch.no_grad():
    print("final accuracy", (cls(enc(x)[:, -1]).argmax(1) == k).float().mean().item())
