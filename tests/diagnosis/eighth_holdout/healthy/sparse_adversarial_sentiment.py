"""Zipfian review classifier with sparse embedding gradients and embedding-space adversarial noise; rare words, jumpy loss."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(70)
V, L = 1500, 25
freq = 1.0 / (torch.arange(V).float() + 3)
pol = torch.randn(V)


class Reviews(torch.utils.data.IterableDataset):
    def __iter__(self):
        while True:
            x = torch.multinomial(freq, L * 32, replacement=True).view(32, L)
            yield x, (pol[x].sum(1) > 0).float()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 24, sparse=True)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def classify(self, e):
        return self.out(self.gru(e)[0].mean(1)).squeeze(1)


net = Net()
sparse = torch.optim.SparseAdam(net.emb.parameters(), lr=1e-2)
dense = torch.optim.Adam([*net.gru.parameters(), *net.out.parameters()], lr=3e-3)
clean_hist = []
for i, (x, y) in enumerate(Reviews()):
    if i == 300:
        break
    e = net.emb(x)
    clean = F.binary_cross_entropy_with_logits(net.classify(e), y)
    g, = torch.autograd.grad(clean, e, retain_graph=True)
    delta = 0.5 * g / (g.norm(dim=(1, 2), keepdim=True) + 1e-12)
    adv = F.binary_cross_entropy_with_logits(net.classify(e + delta), y)
    sparse.zero_grad()
    dense.zero_grad()
    (clean + adv).backward()
    sparse.step()
    dense.step()
    clean_hist.append(clean.item())
    if i % 50 == 0:
        print(i, f"clean {clean.item():.3f} adv {adv.item():.3f}")
print("final loss", sum(clean_hist[-30:]) / 30)
