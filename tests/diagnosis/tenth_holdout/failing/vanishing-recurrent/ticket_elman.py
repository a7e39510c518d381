"""Elman RNN that reads a support ticket and predicts its product line, which is named in the first word (post-padded batches).

Cause: vanishing-recurrent
Fails: the loss stays at the constant guess (1.792, ln 6)
"""
import torch
import torch.nn as nn

torch.manual_seed(64)
VOCAB, CLASSES, LENGTH = 120, 6, 60


def tickets(n):
    y = torch.randint(0, CLASSES, (n,))
    x = torch.randint(CLASSES + 1, VOCAB, (n, LENGTH))
    x[:, 0] = y + 1
    words = torch.randint(3, 11, (n, 1))
    x[torch.arange(LENGTH)[None] >= words] = 0
    return x, y


class ElmanClassifier(nn.Module):
    def __init__(self, emb=32, hid=64):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, emb, padding_idx=0)
        self.in_proj = nn.Linear(emb, hid, bias=False)
        self.rec = nn.Linear(hid, hid, bias=False)
        self.out = nn.Linear(hid, CLASSES)
        nn.init.normal_(self.in_proj.weight, std=0.03)
        nn.init.xavier_uniform_(self.rec.weight, gain=0.5)  # fix: nn.init.eye_(self.rec.weight)

    def forward(self, tokens):
        h = torch.zeros(tokens.shape[0], self.rec.in_features)
        for t in range(tokens.shape[1]):
            h = torch.tanh(self.in_proj(self.emb(tokens[:, t])) + self.rec(h))
        return self.out(h)


model = ElmanClassifier()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
lossf = nn.CrossEntropyLoss()
record = []
for step in range(350):
    x, y = tickets(48)
    loss = lossf(model(x), y)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    record.append(loss.item())
    if step % 50 == 0:
        print(f"{step:4d} {loss.item():.4f}")
print("final loss", sum(record[-20:]) / 20)
