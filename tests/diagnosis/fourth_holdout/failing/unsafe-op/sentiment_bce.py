"""Bag-of-embeddings sentiment on synthetic tokens, with a hand-made cross entropy.

Cause: unsafe-op
Fails: learns to 0.11 in two epochs; the loss is nan in the third and ever after
"""
import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(8)
VOCAB, LENGTH, DIM = 300, 20, 32
# tokens 0-39 are praise, 40-79 are complaints, the rest are neutral


def make_reviews(n):
    y = torch.randint(0, 2, (n,))
    toks = torch.randint(80, VOCAB, (n, LENGTH))
    for i in range(n):
        k = int(torch.randint(2, 7, (1,)))
        toks[i, :k] = torch.randint(0, 40, (k,)) + 40 * (1 - y[i])
    return toks, y.float()


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.EmbeddingBag(VOCAB, DIM, mode="sum")
        self.mlp = nn.Sequential(nn.Linear(DIM, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, t):
        z = self.mlp(self.emb(t)).squeeze(-1)
        p = torch.sigmoid(z)  # fix: p = torch.sigmoid(z).clamp(1e-6, 1 - 1e-6)
        return p


def my_bce(p, y):
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


X, Y = make_reviews(2500)
net = Sentiment()
opt = optim.Adam(net.parameters(), lr=4e-3)
for epoch in range(30):
    perm = torch.randperm(len(Y))
    losses = []
    for b in perm.split(50):
        loss = my_bce(net(X[b]), Y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        if epoch == 0 and len(losses) == 1:
            print("first loss", losses[0])
    print(f"epoch {epoch} loss {sum(losses) / len(losses):.5f}")
print("final loss", sum(losses) / len(losses))
