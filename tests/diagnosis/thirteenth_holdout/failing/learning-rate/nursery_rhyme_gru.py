"""Character GRU language model on a few nursery rhymes, plain SGD with momentum.

Cause: learning-rate
Fails: final loss 13.86 (with the fix 0.1367)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1337)

TEXT = """
twinkle twinkle little star how i wonder what you are
up above the world so high like a diamond in the sky
mary had a little lamb its fleece was white as snow
and everywhere that mary went the lamb was sure to go
humpty dumpty sat on a wall humpty dumpty had a great fall
all the kings horses and all the kings men
couldnt put humpty together again
jack and jill went up the hill to fetch a pail of water
jack fell down and broke his crown and jill came tumbling after
""" * 4

chars = sorted(set(TEXT))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in TEXT])

emb_dim, hid = 24, 96
emb = nn.Embedding(len(chars), emb_dim)
gru = nn.GRU(emb_dim, hid, batch_first=True)
out = nn.Linear(hid, len(chars))
params = list(emb.parameters()) + list(gru.parameters()) + list(out.parameters())

opt = torch.optim.SGD(params, lr=12.0, momentum=0.9)  # fix: opt = torch.optim.SGD(params, lr=0.5, momentum=0.9)

T, B = 32, 24
for it in range(300):
    idx = torch.randint(0, len(data) - T - 1, (B,))
    x = torch.stack([data[i:i + T] for i in idx])
    y = torch.stack([data[i + 1:i + T + 1] for i in idx])
    h, _ = gru(emb(x))
    loss = F.cross_entropy(out(h).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 50 == 0:
        print(f"iter {it:4d}  nll/char {loss.item():.3f}")

print("final loss", loss.item())
