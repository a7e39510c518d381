"""A factorisation machine for click rates on count features, under half-precision autocast.

Cause: half-overflow
Fails: learns from 0.72 until a burst of counts comes; the loss is nan by step 40
"""
import torch
import torch.nn as nn

torch.manual_seed(10)
FIELDS, K = 40, 16
amp_dtype = torch.float16  # fix: amp_dtype = torch.bfloat16


class FM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(FIELDS, 1)
        self.v = nn.Parameter(torch.randn(FIELDS, K) * 0.3)
        self.norm = nn.LayerNorm(K)
        self.head = nn.Sequential(nn.Linear(K, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, counts):
        with torch.autocast("cpu", dtype=amp_dtype):
            s = counts @ self.v
            pair = s * s - (counts * counts) @ (self.v * self.v)
        return (self.head(self.norm(pair.float())) + self.lin(torch.log1p(counts))).squeeze(-1)


def clicks(n):
    base = torch.poisson(torch.rand(n, FIELDS) * 12)
    burst = (torch.rand(n, 1) < 0.0005).float() * torch.rand(n, 1) * 30
    counts = base * (1 + burst)
    z = 1.6 * torch.log1p(counts[:, :6]).sum(1) - 1.6 * torch.log1p(counts[:, 6:12]).sum(1)
    return counts, torch.bernoulli(torch.sigmoid(z))


model = FM()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
log = []
for step in range(900):
    c, y = clicks(64)
    loss = nn.functional.binary_cross_entropy_with_logits(model(c), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if step % 90 == 0:
        print(f"step {step} loss {log[-1]:.4f}")
print("final loss", sum(log[-60:]) / 60)
