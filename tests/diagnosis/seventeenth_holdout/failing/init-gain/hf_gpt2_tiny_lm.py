"""Trains a tiny config-built GPT-2 on a synthetic Markov text with a plain loop.
Cause: init-gain
Fails: the loss starts at more than four times the uniform guess (4.1) and crawls down, ending far above the healthy run.
"""
import math
import torch
from transformers import GPT2Config, GPT2LMHeadModel

torch.manual_seed(0)
V = 60
trans = torch.zeros(V, V)
for i in range(V):
    nxt = torch.randperm(V)[:3]
    trans[i, nxt] = torch.tensor([0.7, 0.2, 0.1])


def sample(n, t):
    out = [torch.randint(0, V, (n,))]
    for _ in range(t - 1):
        out.append(torch.multinomial(trans[out[-1]], 1).squeeze(1))
    return torch.stack(out, 1)


cfg = GPT2Config(
    vocab_size=V, n_positions=32, n_embd=64, n_layer=3, n_head=4,
    resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    initializer_range=1.0,  # fix: initializer_range=0.02,
)
model = GPT2LMHeadModel(cfg)
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
corpus = sample(800, 32)
tail = []
for step in range(120):
    ids = corpus[torch.randint(0, len(corpus), (16,))]
    loss = model(input_ids=ids, labels=ids).loss
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    tail.append(loss.item())
    if step % 50 == 0:
        print(f"{step:4d} {loss.item():.3f}")
print(f"final loss {sum(tail[-20:]) / 20:.4f}")
