"""BiLSTM named entity tagger with hand written focal loss for the rare entity tokens.

Cause: unsafe-op
Fails: the loss is not finite from step 2 on
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(19)
np.random.seed(19)
V, TAGS, T, B = 300, 4, 16, 32
gazetteer = {1: range(200, 230), 2: range(230, 260), 3: range(260, 290)}


def sentences(n):
    zipf = 1 / np.arange(1, 200)
    x = np.random.choice(np.arange(1, 200), (n, T), p=zipf / zipf.sum())
    y = np.zeros((n, T), dtype=np.int64)
    for i in range(n):
        for _ in range(np.random.randint(0, 3)):
            k, pos = np.random.randint(1, 4), np.random.randint(T)
            x[i, pos] = np.random.choice(gazetteer[k])
            y[i, pos] = k
    return torch.tensor(x), torch.tensor(y)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 32)
        self.lstm = nn.LSTM(32, 32, bidirectional=True, batch_first=True)
        self.out = nn.Linear(64, TAGS)

    def forward(self, x):
        return self.out(self.lstm(self.emb(x))[0])


def focal(logits, y, gamma=0.5):
    p = torch.softmax(logits, -1)
    pt = p.gather(-1, y.unsqueeze(-1)).squeeze(-1)  # fix: pt = p.gather(-1, y.unsqueeze(-1)).squeeze(-1).clamp(1e-6, 1 - 1e-6)
    return -((1 - pt) ** gamma * torch.log(pt)).mean()


model = Tagger()
opt = torch.optim.RMSprop(model.parameters(), lr=0.03)
hist = []
for it in range(300):
    x, y = sentences(B)
    loss = focal(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if it % 50 == 0:
        print("iter", it, "focal", hist[-1])
print("final loss", float(np.mean(hist[-20:])))
