"""Character language model: embeddings, a memory that is mixed and carried over every character, gated read-out.

Cause: recurrent-gain
Fails: a first loss of 7e9, NaN from step 1 on
"""

import math

import torch
import torch.nn.functional as F

torch.manual_seed(59)
TEXT = (
    "the river ran down to the sea and the sea took the river in . "
    "a man came down to the river and sat there for a day . "
    "the day was long and the man was old and the sea was near . "
) * 6
letters = sorted(set(TEXT))
code = torch.tensor([letters.index(c) for c in TEXT])
V, D, H, CHUNK = len(letters), 16, 48, 64

def orthogonal(n, gain):
    return gain * torch.linalg.qr(torch.randn(n, n)).Q

params = {
    "embed": torch.randn(V, D),
    "write": torch.randn(D, H) / math.sqrt(D),
    "mix": orthogonal(H, 1.5),  # fix: "mix": orthogonal(H, 0.7),
    "gate": torch.randn(D, H) / math.sqrt(D),
    "read": torch.randn(H, V) / math.sqrt(H),
    "bias": torch.zeros(V),
}
for p in params.values():
    p.requires_grad_()

def language_model(p, text):
    x = p["embed"][text]
    memory = torch.zeros(text.shape[0], H)
    for t in range(text.shape[1]):
        memory = memory @ p["mix"] + x[:, t] @ p["write"]
        yield (memory * torch.sigmoid(x[:, t] @ p["gate"])) @ p["read"] + p["bias"]

optimizer = torch.optim.SGD(params.values(), lr=0.06)
curve = []
for step in range(220):
    start = torch.randint(0, len(code) - CHUNK - 1, (16,)).tolist()
    chunk = torch.stack([code[s : s + CHUNK + 1] for s in start])
    optimizer.zero_grad()
    loss = sum(F.cross_entropy(logits, chunk[:, t + 1]) for t, logits in enumerate(language_model(params, chunk[:, :-1]))) / CHUNK
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
    if step % 40 == 0:
        print(step, curve[-1])
print("final loss", sum(curve[-10:]) / 10)
