"""Character GRU language model with warm restarts: the loss jumps at every restart."""
import torch
import torch.nn as nn

torch.manual_seed(3)
lines = ["once upon a midnight dreary while i pondered weak and weary", "the quick brown fox jumps over the lazy dog",
         "to be or not to be that is the question", "all happy families are alike", "call me ishmael some years ago"]
g = torch.Generator().manual_seed(1)
text = " ".join(lines[int(torch.randint(5, (1,), generator=g))] for _ in range(300))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
V = len(chars)


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V, 32)
        self.r = nn.GRU(32, 96, batch_first=True)
        self.d = nn.Dropout(0.1)
        self.o = nn.Linear(96, V)

    def forward(self, x):
        return self.o(self.d(self.r(self.e(x))[0]))


net = LM()
opt = torch.optim.SGD(net.parameters(), lr=4.0, momentum=0.5)
sch = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=75, T_mult=2, eta_min=0.01)
hist = []
for step in range(525):
    i = torch.randint(len(data) - 41, (20,), generator=g)
    b = torch.stack([data[k:k + 41] for k in i])
    loss = nn.functional.cross_entropy(net(b[:, :-1]).reshape(-1, V), b[:, 1:].reshape(-1))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    opt.step(); sch.step()
    hist.append(loss.item())
    if step % 25 == 0:
        print(f"step {step} lr {sch.get_last_lr()[0]:.3f} loss {loss.item():.4f}")
print("final loss", sum(hist[-25:]) / 25)
