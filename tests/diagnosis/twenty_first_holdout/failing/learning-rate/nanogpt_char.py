"""Trains a nanoGPT-like character model (pre-LN blocks, AdamW, cosine decay) on generated sentences.

Cause: learning-rate
Fails: the loss settles near the unigram entropy, far above what the model can reach
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1337)
torch.set_num_threads(1)
import random

random.seed(1337)
subj = ["the king", "a sailor", "my sister", "the old dog", "our captain", "a thief"]
verb = ["finds", "steals", "loves", "burns", "hides", "counts"]
obj = ["the crown", "a silver ring", "seven ships", "the letter", "bread and wine", "the map"]
end = ["at dawn", "in the tower", "by the sea", "without a word", "before the war"]
text = ". ".join(" ".join([random.choice(subj), random.choice(verb), random.choice(obj), random.choice(end)]) for _ in range(2500))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
n = int(0.9 * len(data))
train_data, val_data = data[:n], data[n:]
block_size, batch_size, n_embd, n_head, n_layer, vocab = 48, 16, 64, 4, 3, len(chars)

max_iters = 350
learning_rate = 2e-1  # fix: learning_rate = 3e-3
min_lr = learning_rate / 10
warmup_iters = 20
weight_decay = 1e-1


def get_batch(split):
    d = train_data if split == "train" else val_data
    ix = torch.randint(len(d) - block_size - 1, (batch_size,))
    return torch.stack([d[i:i + block_size] for i in ix]), torch.stack([d[i + 1:i + 1 + block_size] for i in ix])


class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = [t.view(B, T, n_head, C // n_head).transpose(1, 2) for t in self.c_attn(x).split(C, 2)]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, C))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2, self.attn = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd), CausalSelfAttention()
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, n_embd), nn.Embedding(block_size, n_embd)
        self.h, self.ln_f = nn.Sequential(*[Block() for _ in range(n_layer)]), nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab, bias=False)
        self.apply(self._init)

    def _init(self, m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, 0.0, 0.02)
        if isinstance(m, nn.Linear) and m.bias is not None:
            nn.init.zeros_(m.bias)

    def forward(self, idx, tgt):
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
        return F.cross_entropy(self.lm_head(self.ln_f(self.h(x))).view(-1, vocab), tgt.reshape(-1))


def get_lr(it):
    if it < warmup_iters:
        return learning_rate * (it + 1) / warmup_iters
    r = (it - warmup_iters) / (max_iters - warmup_iters)
    return min_lr + 0.5 * (1 + math.cos(math.pi * r)) * (learning_rate - min_lr)


model = GPT()
decay = [p for p in model.parameters() if p.dim() >= 2]
nodecay = [p for p in model.parameters() if p.dim() < 2]
opt = torch.optim.AdamW([{"params": decay, "weight_decay": weight_decay}, {"params": nodecay, "weight_decay": 0.0}], lr=learning_rate, betas=(0.9, 0.99))
for it in range(max_iters):
    for gr in opt.param_groups:
        gr["lr"] = get_lr(it)
    X, Y = get_batch("train")
    loss = model(X, Y)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if it % 50 == 0:
        print("iter", it, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", sum(model(*get_batch("val")).item() for _ in range(10)) / 10)
