"""An LSTM must say at the end of a chat log who opened the conversation.

Cause: vanishing-recurrent
Fails: the forget gates start nearly shut, nothing of the first token is left after forty steps and the loss stays at chance
"""
import random

import torch
from torch import nn

random.seed(23)
torch.manual_seed(23)
SPEAKERS = ["anna", "boris", "chen", "dora"]
TALK = "well I think that we could meet later or not you know maybe if it rains then no yes okay sure".split()
W = {w: i for i, w in enumerate(SPEAKERS + sorted(set(TALK)))}


def chats(n, length=40):
    who = [random.randrange(4) for _ in range(n)]
    toks = [[W[SPEAKERS[k]]] + [W[random.choice(TALK)] for _ in range(length - 1)] for k in who]
    return torch.tensor(toks), torch.tensor(who)


class Opener(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.emb = nn.Embedding(len(W), 16)
        self.lstm = nn.LSTM(16, h, batch_first=True)
        self.cls = nn.Linear(h, 4)
        for name, p in self.lstm.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(p)
                i, f, g, o = p.data.chunk(4)
                f.fill_(-1.0)  # fix: f.fill_(1.7)

    def forward(self, x):
        return self.cls(self.lstm(self.emb(x))[0][:, -1])


model = Opener()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
log = []
for step in range(450):
    x, y = chats(32)
    loss = nn.functional.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    log.append(loss.item())
    if step % 75 == 0:
        print(step, log[-1])
print("final loss", sum(log[-30:]) / 30)
