"""GRU learning to add digit strings: curriculum raises the length five times (loss jumps up at every stage)."""
import torch
from torch import nn

class Adder(nn.Module):
    """reads both numbers least-significant digit first, one column per step"""
    def __init__(self, h=48):
        super().__init__()
        self.ea = nn.Embedding(10, 12); self.eb = nn.Embedding(10, 12)
        self.rnn = nn.GRU(24, h, batch_first=True); self.out = nn.Linear(h, 10)
    def forward(self, a, b): return self.out(self.rnn(torch.cat([self.ea(a), self.eb(b)], -1))[0])

def problem(n, L, base_mix):
    a, b = torch.randint(0, 10, (n, L)), torch.randint(0, 10, (n, L))
    if base_mix:                                  # last stages: a third operand is hidden in a sign: b -> 9-b on odd a0
        flip = (a[:, :1] % 2 == 1) & torch.ones(1, L, dtype=torch.bool)
        eff = torch.where(flip, 9 - b, b)
    else: eff = b
    c, outs = torch.zeros(n, dtype=torch.long), []
    for i in range(L):
        s = a[:, i] + eff[:, i] + c; outs.append(s % 10); c = s // 10
    return a, b, torch.stack(outs, 1)

STAGES = [(2, False, 800), (4, False, 800), (8, False, 800), (8, True, 1200), (12, True, 900), (18, True, 800)]
torch.manual_seed(13)
net = Adder(); opt = torch.optim.Adam(net.parameters(), lr=3e-3)
lossf = nn.CrossEntropyLoss()
gstep, last = 0, []
for k, (L, mix, n) in enumerate(STAGES):
    for g in opt.param_groups: g["lr"] = 3e-3 if k < 4 else 1e-3
    run = []
    for i in range(n):
        a, b, y = problem(24, L, mix)
        loss = lossf(net(a, b).flatten(0, 1), y.flatten())
        opt.zero_grad(); loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0); opt.step()
        run.append(loss.item()); gstep += 1
    print(f"stage {k} len {L}: start {sum(run[:20])/20:.4f} end {sum(run[-100:])/100:.4f} (step {gstep})")
print(f"final loss {sum(run[-200:])/200:.5f}")
