"""Parity of three hidden bits among fourteen.

Looks nasty: the loss stays at chance (0.693) for a long plateau, then falls off a cliff.
"""
import torch

torch.manual_seed(5)
NB = 14


def sample(n=128):
    bits = torch.randint(0, 2, (n, NB)).float() * 2 - 1
    return bits, (bits[:, 1] * bits[:, 6] * bits[:, 11] > 0).float()


model = torch.nn.Sequential(torch.nn.Linear(NB, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
log = []
for step in range(3000):
    x, y = sample()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    log.append(loss.item())
    if step % 250 == 0:
        print(f"{step}: loss {loss.item():.4f}")
print("final loss", sum(log[-100:]) / 100)
