"""nanoGPT-style decoder on a synthetic Markov corpus, micro-batches accumulated, plain SGD.

Cause: loss-scale
Fails: the loss is not finite from step 7 on (micro-batch 168)
"""
import math
import torch
import torch.nn as nn
from torch.nn import functional as F

# ---- config
batch_size = 3
gradient_accumulation_steps = 24
block_size = 24
n_layer, n_head, n_embd = 2, 4, 48
vocab_size = 32
max_iters = 101
learning_rate = 0.5
warmup_iters = 5
# ----
torch.manual_seed(1337)
trans = torch.softmax(3.0 * torch.randn(vocab_size, vocab_size), -1)


def get_batch():
    s = [torch.randint(0, vocab_size, (batch_size,))]
    for _ in range(block_size):
        s.append(torch.multinomial(trans[s[-1]], 1)[:, 0])
    s = torch.stack(s, 1)
    return s[:, :-1], s[:, 1:]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (z.view(B, T, n_head, -1).transpose(1, 2) for z in self.c_attn(self.ln_1(x)).split(C, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(vocab_size, n_embd)
        self.wpe = nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList([Block() for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)

    def forward(self, idx, targets):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for b in self.h:
            x = b(x)
        logits = self.lm_head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, vocab_size), targets.reshape(-1))


model = GPT()
optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
tail = []
for it in range(max_iters):
    for g in optimizer.param_groups:
        g["lr"] = learning_rate * min(1.0, (it + 1) / warmup_iters)
    lossf = 0.0
    for micro in range(gradient_accumulation_steps):
        X, Y = get_batch()
        loss = model(X, Y)
        lossf += loss.item() / gradient_accumulation_steps
        loss.backward()  # fix: (loss / gradient_accumulation_steps).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    tail.append(lossf)
    if it % 20 == 0:
        print(f"iter {it}: loss {lossf:.4f}")
print("final loss", sum(tail[-10:]) / 10)
