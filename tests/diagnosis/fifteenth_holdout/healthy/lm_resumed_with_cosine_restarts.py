"""A small causal transformer on a recipe text, stopped and resumed from its own in-memory checkpoint, with warm restarts of the rate."""
import copy
import math

import torch
from torch import nn

RECIPE = (
    "Wash the lentils and put them in a wide pan with the onion, the carrot and a leaf of bay. "
    "Cover with cold water by two fingers and bring slowly to the boil. Skim what rises. "
    "Turn down the heat and let it murmur for half an hour, until the lentils are soft but whole. "
    "Meanwhile warm the oil in a small pan with the garlic and the cumin, and do not let it brown. "
    "Drain the lentils, keep the water, and pour the oil over them while they are hot. "
    "Add lemon, salt, a spoon of the water, and more parsley than seems reasonable. "
)
chars = sorted(set(RECIPE))
ids = torch.tensor([chars.index(c) for c in RECIPE])


def build():
    layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True, norm_first=True)
    m = nn.ModuleDict({"emb": nn.Embedding(len(chars), 64), "pos": nn.Embedding(32, 64), "body": nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), "head": nn.Linear(64, len(chars))})
    o = torch.optim.AdamW(m.parameters(), lr=3e-3)
    return m, o, torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 45)


torch.manual_seed(9)
model, opt, sched = build()
mask = torch.triu(torch.full((32, 32), -math.inf), 1)
log = []
for step in range(180):
    if step == 100:  # the job was killed here; go on from the checkpoint
        ckpt = copy.deepcopy((model.state_dict(), opt.state_dict(), sched.state_dict()))
        model, opt, sched = build()
        for obj, sd in zip((model, opt, sched), ckpt):
            obj.load_state_dict(sd)
    s = torch.randint(0, len(ids) - 33, (16,))
    w = ids[s[:, None] + torch.arange(33)]
    h = model["emb"](w[:, :-1]) + model["pos"](torch.arange(32))
    logits = model["head"](model["body"](h, mask=mask))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), w[:, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    sched.step()
    log.append(loss.item())
print("first loss", log[0])
print("final loss", sum(log[-15:]) / 15)
