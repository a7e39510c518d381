"""Character level RNN that writes town names (homework 3, ReLU variant of the tanh RNN from class).

Cause: recurrent-gain
Fails: the loss starts at 1.3e9 and ends at 1.4e4
"""
import random
import torch
from torch import nn
from torch.nn import functional as F

random.seed(3)
torch.manual_seed(3)

PRE = ["nord", "sud", "west", "ost", "alt", "neu", "gross", "klein", "ober", "unter"]
MID = ["hof", "berg", "tal", "bach", "wald", "stein", "brueck", "feld", "kirch"]
END = ["heim", "dorf", "stadt", "hausen", "ingen", "burg", "au"]


def town():
    return random.choice(PRE) + random.choice(MID) + random.choice(END)


text = "\n".join(town() for _ in range(4000))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
V, H, T, B = len(chars), 96, 64, 32


class ReluRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, H)
        self.x2h = nn.Linear(H, H)
        self.h2h = nn.Linear(H, H, bias=False)
        self.h2o = nn.Linear(H, V)
        nn.init.normal_(self.x2h.weight, std=0.05)
        nn.init.orthogonal_(self.h2h.weight, gain=2.0)  # fix: nn.init.orthogonal_(self.h2h.weight, gain=1.0)

    def forward(self, idx):
        h = torch.zeros(idx.size(0), H)
        outs = []
        for t in range(idx.size(1)):
            h = torch.relu(self.x2h(self.emb(idx[:, t])) + self.h2h(h))
            outs.append(self.h2o(h))
        return torch.stack(outs, 1)


def get_batch():
    ix = torch.randint(len(data) - T - 1, (B,))
    return torch.stack([data[i:i + T] for i in ix]), torch.stack([data[i + 1:i + T + 1] for i in ix])


model = ReluRNN()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = []
for it in range(250):
    x, y = get_batch()
    logits = model(x)
    loss = F.cross_entropy(logits.reshape(-1, V), y.reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if it % 50 == 0:
        print(it, round(loss.item(), 3))
print("final loss", sum(losses[-20:]) / 20)
