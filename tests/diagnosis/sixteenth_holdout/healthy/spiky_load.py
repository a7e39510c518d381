"""Electric load with rare spikes: single batches have a loss a hundred times the usual one."""
import torch
import torch.nn as nn

torch.manual_seed(12)
T = 5000
t = torch.arange(T).float()
kick = (torch.rand(T) < 0.004).float() * (8 + 6 * torch.rand(T))
warn = torch.roll(kick, -1) > 0
load = torch.sin(t / 12) + 0.4 * torch.sin(t / 3) + 0.05 * torch.randn(T) + kick
seq = torch.stack([load, warn.float()], 1)
wins = torch.stack([seq[i:i + 24] for i in range(T - 25)])
nxt = load[24:T - 1]
net = nn.ModuleDict(dict(r=nn.GRU(2, 32, batch_first=True), o=nn.Linear(32, 1)))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for ep in range(7):
    tot, worst = 0.0, 0.0
    for b in torch.randperm(len(wins)).split(50):
        p = net["o"](net["r"](wins[b])[0][:, -1]).squeeze(1)
        loss = (p - nxt[b]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        tot += loss.item() * len(b) / len(wins)
        worst = max(worst, loss.item())
    print(f"epoch {ep} mean {tot:.4f} worst {worst:.3f}")
print(f"final loss {tot:.5f}")
