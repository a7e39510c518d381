"""An RNN that must name, at the end of 60 steps, the symbol it saw first.

Cause: vanishing-recurrent
Fails: the loss stays at 1.79, chance among six
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

K, LEN, H = 6, 60, 64
gen = torch.Generator().manual_seed(3)
torch.manual_seed(3)


def sample(b):
    key = torch.randint(0, K, (b,), generator=gen)
    x = torch.zeros(b, LEN, K + 1)
    x[:, :, K] = 0.1 * torch.randn(b, LEN, generator=gen)
    x[torch.arange(b), 0, key] = 1.0
    return x, key


class Recaller(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(K + 1, H, nonlinearity="tanh", batch_first=True)
        self.cls = nn.Linear(H, K)
        for name, p in self.rnn.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(p)
            elif name == "weight_hh_l0":
                nn.init.normal_(p, std=0.05)  # fix: nn.init.orthogonal_(p)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.cls(out[:, -1])


model = Recaller()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-3)
window = []
for it in range(1, 501):
    x, y = sample(48)
    loss = F.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    window = (window + [loss.item()])[-40:]
    if it == 1 or it % 50 == 0:
        print("iter", it, "loss", round(sum(window) / len(window), 4))
print("final loss", sum(window) / len(window))
