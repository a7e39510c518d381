"""word2vec, skip-gram with negative sampling, SparseAdam, loss summed over the batch; most rows get no gradient in most steps."""
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
rng = np.random.default_rng(2013)
torch.manual_seed(2013)

V, TOPICS = 2000, 20
zipf = 1.0 / np.arange(1, V + 1)
topic_of = rng.integers(0, TOPICS, V)
by_topic = [np.where(topic_of == k)[0] for k in range(TOPICS)]
pt = [zipf[w] / zipf[w].sum() for w in by_topic]
stream = np.concatenate([rng.choice(by_topic[k], 40, p=pt[k]) for k in rng.integers(0, TOPICS, 2500)])
freq = np.bincount(stream, minlength=V) ** 0.75
noise = freq / freq.sum()

inp = torch.nn.Embedding(V, 40, sparse=True)
out = torch.nn.Embedding(V, 40, sparse=True)
torch.nn.init.uniform_(inp.weight, -0.5 / 40, 0.5 / 40)
torch.nn.init.zeros_(out.weight)
opt = torch.optim.SparseAdam([inp.weight, out.weight], lr=0.01)
B, NEG = 256, 5
running = []
for step in range(1200):
    c = rng.integers(5, len(stream) - 5, B)
    o = c + rng.choice([-4, -3, -2, -1, 1, 2, 3, 4], B)
    neg = torch.from_numpy(rng.choice(V, (B, NEG), p=noise))
    u = inp(torch.from_numpy(stream[c]))
    v = out(torch.from_numpy(stream[o]))
    w = out(neg)
    pos = F.logsigmoid((u * v).sum(1))
    ng = F.logsigmoid(-torch.bmm(w, u[:, :, None]).squeeze(2)).sum(1)
    loss = -(pos + ng).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    running.append(loss.item())
    if step % 120 == 0:
        print("step", step, "summed loss", round(running[-1], 1), "per pair", round(running[-1] / B, 3))
print("final loss", float(np.mean(running[-20:])))
