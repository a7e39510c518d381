"""Learns associative recall (key-value pairs, then a query) with one hand-written attention layer.

Cause: attention-logits
Fails: embeddings times root d (as in the paper) without the division after the product saturate the softmax on a random pair, the loss stays at chance
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

NK, NV, PAIRS, D = 24, 8, 12, 256


def episode(n):
    keys = torch.rand(n, NK).argsort(1)[:, :PAIRS]
    vals = torch.randint(0, NV, (n, PAIRS))
    pick = torch.randint(0, PAIRS, (n, 1))
    return keys, vals, keys.gather(1, pick), vals.gather(1, pick).squeeze(1)


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.key_emb = nn.Embedding(NK, D)
        self.query_emb = nn.Embedding(NK, D)
        self.val_emb = nn.Embedding(NV, 64)
        self.head = nn.Linear(64, NV)

    def forward(self, keys, vals, query):
        k = self.key_emb(keys)
        q = self.query_emb(query)
        q, k = q * D ** 0.5, k * D ** 0.5  # fix: q, k = q / D ** 0.25, k / D ** 0.25
        att = torch.softmax(q @ k.transpose(1, 2), dim=-1)
        return self.head((att @ self.val_emb(vals)).squeeze(1))


torch.manual_seed(12)
model = Recall()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
smooth = None
for step in range(900):
    *inp, target = episode(64)
    loss = F.cross_entropy(model(*inp), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    smooth = loss.item() if smooth is None else 0.97 * smooth + 0.03 * loss.item()
    if step % 100 == 0:
        print(step, round(loss.item(), 4))
print("final loss", smooth)
