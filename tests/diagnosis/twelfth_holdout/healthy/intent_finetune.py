"""Pretrain an encoder on next-token prediction, then tune only the top of it on a small intent set."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(18)
V, L, C = 40, 10, 4


def sentences(n):
    c = torch.randint(C, (n,))
    x = torch.randint(V // 2, (n, L))
    pos = torch.rand(n, L) < 0.4
    topic = V // 2 + c[:, None] * 5 + torch.randint(5, (n, L))
    return torch.where(pos, topic, x), c


class Encoder(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(V, d)
        self.gru = nn.GRU(d, d, batch_first=True)

    def forward(self, x):
        return self.gru(self.emb(x))[0]


enc = Encoder()
lm = nn.Linear(48, V)
opt = torch.optim.Adam([*enc.parameters(), *lm.parameters()], lr=4e-3)
for i in range(220):
    x, _ = sentences(64)
    loss = F.cross_entropy(lm(enc(x[:, :-1])).flatten(0, 1), x[:, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    if i % 40 == 0:
        print("pretrain", i, round(loss.item(), 4))

enc.requires_grad_(False)
enc.emb.eval()
for n, p in enc.gru.named_parameters():
    p.requires_grad_("bias" in n)
head = nn.Linear(48, C)
nn.init.zeros_(head.weight)
xs, cs = sentences(400)
opt = torch.optim.AdamW([
    {"params": [p for p in enc.parameters() if p.requires_grad], "lr": 1e-4},
    {"params": head.parameters(), "lr": 1e-2},
], weight_decay=0.01)
for i in range(200):
    j = torch.randint(400, (32,))
    loss = F.cross_entropy(head(enc(xs[j]).mean(1)), cs[j])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if i % 40 == 0:
        print("tune", i, round(loss.item(), 5))
with torch.no_grad():
    x, c = sentences(1000)
    acc = (head(enc(x).mean(1)).argmax(1) == c).float().mean().item()
print(f"final accuracy {acc:.4f}")
