"""Story-template language model trained in mixed precision with a gradient scaler.

Cause: clip-before-unscale
Fails: final validation loss 3.306 (with the fix 0.1533)
"""
import random
import warnings
import torch
import torch.nn as nn

warnings.filterwarnings("ignore")
random.seed(2)
torch.manual_seed(2)

who = ["fox", "bear", "hare", "owl"]
where = {"fox": "den", "bear": "cave", "hare": "field", "owl": "tree"}
food = {"fox": "grapes", "bear": "honey", "hare": "clover", "owl": "mice"}


def story():
    a, b = random.sample(who, 2)
    return f"once a {a} left the {where[a]} to find {food[a]} and met a {b} from the {where[b]} eating {food[b]} .".split()


words = [w for _ in range(800) for w in story()]
vocab = {w: i for i, w in enumerate(sorted(set(words)))}
stream = torch.tensor([vocab[w] for w in words])
V, L = len(vocab), 22


class LM(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.emb = nn.Embedding(V, d)
        self.pos = nn.Embedding(L, d)
        layer = nn.TransformerEncoderLayer(d, 4, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, V)

    def forward(self, x):
        n = x.size(1)
        m = torch.triu(torch.full((n, n), float("-inf")), 1)
        return self.out(self.norm(self.body(self.emb(x) + self.pos.weight[:n], mask=m)))


class AmpTrainer:
    def __init__(self, model, lr=0.15, clip=1.0):
        self.model, self.clip = model, clip
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 14, growth_interval=500)

    def step(self, x, y):
        self.opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.model(x)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), y.flatten())
        self.scaler.scale(loss).backward()
        # fix: self.scaler.unscale_(self.opt)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.scaler.step(self.opt)
        self.scaler.update()
        return loss.item()


def draw(lo, hi, n=12):
    i = torch.randint(lo, hi - L - 1, (n, 1)) + torch.arange(L + 1)
    s = stream[i]
    return s[:, :-1], s[:, 1:]


cut = int(0.9 * len(stream))
tr = AmpTrainer(LM())
for i in range(130):
    loss = tr.step(*draw(0, cut))
    if i % 30 == 29:
        print(f"{i + 1} loss {loss:.4f} scale {tr.scaler.get_scale():.0f}")
with torch.no_grad():
    x, y = draw(cut, len(stream), 64)
    v = nn.functional.cross_entropy(tr.model(x)[:, 4:].flatten(0, 1), y[:, 4:].flatten()).item()
print(f"final validation loss {v:.4f}")
