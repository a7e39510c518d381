"""Character LSTM with the token loss summed over the batch and a rate chosen for it."""
import torch
from torch import nn

SONG = ("row row row your boat gently down the stream merrily merrily merrily merrily life is but a dream "
        "london bridge is falling down falling down falling down my fair lady ") * 8
voc = sorted(set(SONG))
ids = torch.tensor([voc.index(c) for c in SONG])
torch.manual_seed(77)
emb, lstm, fc = nn.Embedding(len(voc), 16), nn.LSTM(16, 64, batch_first=True), nn.Linear(64, len(voc))
ps = [p for m in (emb, lstm, fc) for p in m.parameters()]
opt = torch.optim.SGD(ps, lr=1e-3, momentum=0.9)
crit = nn.CrossEntropyLoss(reduction="sum")
B, T = 20, 30
for it in range(500):
    s = torch.randint(0, len(ids) - T - 1, (B,))
    w = ids[s[:, None] + torch.arange(T + 1)]
    loss = crit(fc(lstm(emb(w[:, :-1]))[0]).flatten(0, 1), w[:, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 50 == 0:
        print(it, "sum", round(loss.item(), 1), "per char", round(loss.item() / (B * T), 3))
print("final loss", loss.item() / (B * T))
