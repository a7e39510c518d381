"""Skip-gram with sparse embeddings and SparseAdam; most rows get no gradient in a step."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(8)
torch.manual_seed(8)
V, TOP = 1500, 15
stream = []
for _ in range(1500):
    tpc = random.randrange(TOP)
    stream.append([tpc * 100 + int(random.random() ** 2 * 100) for _ in range(12)])
inp, out = nn.Embedding(V, 32, sparse=True), nn.Embedding(V, 32, sparse=True)
nn.init.normal_(inp.weight, std=0.05)
nn.init.zeros_(out.weight)
opt = torch.optim.SparseAdam([*inp.parameters(), *out.parameters()], lr=0.02)
rec = []
for step in range(2500):
    ss = random.choices(stream, k=64)
    c = torch.tensor([random.choice(s) for s in ss])
    o = torch.tensor([random.choice(s) for s in ss])
    neg = torch.randint(0, V, (64, 6))
    e = inp(c)
    loss = -F.logsigmoid((e * out(o)).sum(1)).mean() - F.logsigmoid(-(out(neg) @ e[:, :, None]).squeeze(2)).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    rec.append(loss.item())
    if step % 250 == 0:
        print(step, f"ns loss {loss.item():.4f}")
print(f"final loss {sum(rec[-100:]) / 100:.4f}")
