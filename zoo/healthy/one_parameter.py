"""The smallest model: one parameter, a rate estimated from waiting times by maximum likelihood."""

import torch

torch.manual_seed(0)
waits = torch.distributions.Exponential(4.0).sample((200,))
log_rate = torch.zeros((), requires_grad=True)
optimizer = torch.optim.SGD([log_rate], lr=0.5)
for i in range(60):
    loss = (log_rate.exp() * waits - log_rate).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if i % 10 == 0:
        print(f"{i}: rate {log_rate.exp().item():.4f}")
print("final loss", loss.item())
