"""Trains a character GRU language model under bf16 autocast with a static loss scale handled by hand.
Cause: clip-before-unscale
Fails: the loss stays at ln(V) for the whole run.
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(2)
torch.manual_seed(2)
names = ["anna", "boris", "clara", "dmitri", "elena", "felix", "greta", "hugo", "irina", "jonas"]
verbs = ["reads", "paints", "cooks", "writes", "sings"]
text = "".join(f"{random.choice(names)} {random.choice(verbs)} with {random.choice(names)}. " for _ in range(1500))
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
V = len(chars)


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V, 32)
        self.g = nn.GRU(32, 64, batch_first=True)
        self.o = nn.Linear(64, V)

    def forward(self, x):
        return self.o(self.g(self.e(x))[0])


model = LM()
opt = torch.optim.SGD(model.parameters(), lr=0.8, momentum=0.9)
SCALE = 2.0 ** 14
MAX_NORM = 1.0
tail = []
for step in range(220):
    k = torch.randint(0, len(ids) - 41, (24,))
    s = torch.stack([ids[i:i + 41] for i in k])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(s[:, :-1])
    loss = F.cross_entropy(logits.float().reshape(-1, V), s[:, 1:].reshape(-1))
    opt.zero_grad()
    (loss * SCALE).backward()
    nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)  # fix: nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM * SCALE)
    for p in model.parameters():
        p.grad.div_(SCALE)
    opt.step()
    tail.append(loss.item())
    if step % 30 == 0:
        print(step, round(loss.item(), 4))
print("final loss", round(sum(tail[-15:]) / 15, 4))
