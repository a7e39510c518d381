"""Trains an Elman network on a recall task: the class is named by the first symbol of a long string.

Cause: vanishing-recurrent
Fails: the loss stays at log(4)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(95)
torch.set_num_threads(1)
V, T, NC, H = 12, 60, 4, 64


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 16)
        self.rnn = nn.RNN(16, H, batch_first=True)
        self.fc = nn.Linear(H, NC)
        nn.init.normal_(self.emb.weight, std=0.3)
        for name, p in self.rnn.named_parameters():
            if "weight_hh" in name:
                nn.init.xavier_uniform_(p, gain=0.5)  # fix: nn.init.orthogonal_(p)
            elif "weight_ih" in name:
                nn.init.xavier_uniform_(p, gain=0.5)
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        return self.fc(self.rnn(self.emb(x))[0][:, -1])


def batch(n, g):
    y = torch.randint(0, NC, (n,), generator=g)
    x = torch.randint(NC, V, (n, T), generator=g)
    x[:, 0] = y
    return x, y


g = torch.Generator().manual_seed(8)
model = Recall()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(500):
    x, y = batch(32, g)
    loss = F.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    x, y = batch(400, g)
    print("final loss", F.cross_entropy(model(x), y).item())
