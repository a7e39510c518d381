"""fp16 autocast decoder with a gradient scaler started far too high; its first steps are skipped while it backs off."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1337)
vocab_size, block_size, n_embd = 26, 24, 48


def get_batch(bs=14):
    a, s = torch.randint(0, 26, (bs, 1)), torch.randint(1, 6, (bs, 1))
    x = (a + s * torch.arange(block_size + 1)) % 26
    noise = torch.rand(x.shape) < 0.02
    return torch.where(noise, torch.randint(0, 26, x.shape), x)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.qkv, self.proj = nn.Linear(n_embd, 3 * n_embd), nn.Linear(n_embd, n_embd)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(B, T, 3, 4, C // 4).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.h = nn.Sequential(Block(), Block())
        self.ln_f, self.head = nn.LayerNorm(n_embd), nn.Linear(n_embd, vocab_size)

    def forward(self, idx):
        return self.head(self.ln_f(self.h(self.wte(idx) + self.wpe.weight[: idx.shape[1]])))


model = GPT()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 30, growth_interval=60)
losses = []
for it in range(130):
    seq = get_batch()
    with torch.autocast("cpu", dtype=torch.float16):
        logits = model(seq[:, :-1])
    loss = F.cross_entropy(logits.float().flatten(0, 1), seq[:, 1:].flatten())
    opt.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    losses.append(loss.item())
    if it % 40 == 0:
        print(it, losses[-1], "scale", scaler.get_scale())
print("final loss", sum(losses[-10:]) / 10)
