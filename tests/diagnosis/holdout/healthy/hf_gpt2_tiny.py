"""A tiny Hugging Face GPT-2 built from a config on a synthetic grammar, warm-up and linear decay."""

import random

import torch
from transformers import GPT2Config, GPT2LMHeadModel, get_linear_schedule_with_warmup

torch.manual_seed(0)
random.seed(0)
subjects, verbs, objects = [3, 4, 5, 6], [7, 8, 9], [10, 11, 12, 13, 14]


def sentence():
    s = random.choice(subjects)
    return [1, s, verbs[s % 3], random.choice(objects), random.choice(subjects), verbs[(s + 1) % 3], 2]


def batch(n=16):
    return torch.tensor([sentence() + sentence() for _ in range(n)])


cfg = GPT2Config(vocab_size=16, n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2)
model = GPT2LMHeadModel(cfg)
model.train()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
sched = get_linear_schedule_with_warmup(opt, 20, 150)
losses = []
for step in range(150):
    ids = batch()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    opt.zero_grad()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
