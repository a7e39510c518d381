"""A small GPT on templated dialogue, tied input/output embedding."""
import math
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(40)
torch.manual_seed(40)
names = ["ann", "bob", "cy", "dee"]
things = ["tea", "rice", "soup", "fish", "cake"]


def dialogue():
    a, b = random.sample(names, 2)
    t = random.choice(things)
    return (f"{a} : do you want {t} , {b} ? {b} : " +
            random.choice([f"yes , i love {t} . {a} : good .", f"no , not {t} . {a} : ok ."]) + " <eos>").split()


tokens = [w for _ in range(1500) for w in dialogue()]
itos = sorted(set(tokens))
stoi = {w: i for i, w in enumerate(itos)}
ids = torch.tensor([stoi[w] for w in tokens])
V, T, D, NH, NL = len(itos), 24, 128, 4, 2


class Attn(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = nn.Linear(D, 3 * D)
        self.c_proj = nn.Linear(D, D)

    def forward(self, x):
        B, L, _ = x.shape
        q, k, v = (z.view(B, L, NH, -1).transpose(1, 2) for z in self.c_attn(x).split(D, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, L, D))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2, self.attn = nn.LayerNorm(D), nn.LayerNorm(D), Attn()
        self.mlp = nn.Sequential(nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(V, D)
        self.wpe = nn.Embedding(T, D)
        self.h = nn.ModuleList(Layer() for _ in range(NL))
        self.ln_f = nn.LayerNorm(D)
        self.lm_head = nn.Linear(D, V, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, x):
        z = self.wte(x) + self.wpe.weight[:x.size(1)]
        for layer in self.h:
            z = layer(z)
        return self.lm_head(self.ln_f(z))


def get(lo, hi, n=16):
    s = torch.randint(lo, hi - T - 1, (n, 1)) + torch.arange(T + 1)
    return ids[s][:, :-1], ids[s][:, 1:]


model = GPT()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
N = int(0.9 * len(ids))
total = 300
for i in range(total):
    for g in opt.param_groups:
        g["lr"] = 2e-3 * min(1, (i + 1) / 30)
    x, y = get(0, N)
    loss = F.cross_entropy(model(x).view(-1, V), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if i % 50 == 0:
        print(f"iter {i} loss {loss.item():.3f}")
with torch.no_grad():
    v = sum(F.cross_entropy(model(x).view(-1, V), y.reshape(-1)).item() for x, y in (get(N, len(ids)) for _ in range(15)))
print(f"final val ppl {math.exp(min(50, v / 15)):.4f}")
