"""Trains an LSTM language model with a summed token loss (thousands per batch) under Adam and tight clipping; reports per-token loss."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
V, T, B = 30, 24, 32
nxt = torch.stack([torch.randperm(V)[:2] for _ in range(V)])
emb, rnn, out = nn.Embedding(V, 32), nn.LSTM(32, 64, batch_first=True), nn.Linear(64, V)
ps = [*emb.parameters(), *rnn.parameters(), *out.parameters()]
opt = torch.optim.Adam(ps, lr=5e-3)
tail = []
for step in range(260):
    s = [torch.randint(0, V, (B,))]
    for _ in range(T):
        s.append(nxt[s[-1], (torch.rand(B) < 0.2).long()])
    s = torch.stack(s, 1)
    loss = F.cross_entropy(out(rnn(emb(s[:, :-1]))[0]).reshape(-1, V), s[:, 1:].reshape(-1), reduction="sum")
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(ps, 0.25)
    opt.step()
    tail.append(loss.item() / (B * T))
    if step % 40 == 0:
        print(step, "sum", round(loss.item(), 1), "per token", round(tail[-1], 4))
print("final loss", round(sum(tail[-15:]) / 15, 4))
