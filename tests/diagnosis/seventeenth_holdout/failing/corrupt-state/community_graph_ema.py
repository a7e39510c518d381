"""Trains a two-layer graph convolution net on a random community graph, with averaged weights for the periodic check.
Cause: corrupt-state
Fails: the training loss runs in a sawtooth, falling back every tenth epoch, and its mean ends hundreds of times above the healthy run.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
N, K, FEAT = 240, 4, 24
lab = torch.randint(0, K, (N,))
same = lab[:, None] == lab[None]
A = (torch.rand(N, N) < torch.where(same, 0.10, 0.02)).float()
A = ((A + A.t()) > 0).float()
A.fill_diagonal_(1)
dinv = A.sum(1).rsqrt()
S = dinv[:, None] * A * dinv[None]
X = torch.randn(N, FEAT) + 0.5 * torch.randn(K, FEAT)[lab]
train_mask = torch.rand(N) < 0.5


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(FEAT, 48), nn.Linear(48, K)

    def forward(self, x):
        return self.b(S @ torch.relu(self.a(S @ x)))


class Averager:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = {k: v.clone() for k, v in model.state_dict().items()}
        self.backup = None

    @torch.no_grad()
    def update(self, model):
        for k, v in model.state_dict().items():
            self.shadow[k].lerp_(v, 1 - self.decay)

    def swap_in(self, model):
        self.backup = {k: v for k, v in model.state_dict().items()}  # fix: self.backup = {k: v.clone() for k, v in model.state_dict().items()}
        model.load_state_dict(self.shadow)

    def swap_out(self, model):
        model.load_state_dict(self.backup)


model = GCN()
avg = Averager(model, 0.999)
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
log = []
for ep in range(800):
    loss = F.cross_entropy(model(X)[train_mask], lab[train_mask])
    opt.zero_grad()
    loss.backward()
    opt.step()
    avg.update(model)
    log.append(loss.item())
    if ep % 10 == 9:
        avg.swap_in(model)
        with torch.no_grad():
            acc = (model(X).argmax(1) == lab)[~train_mask].float().mean().item()
        avg.swap_out(model)
        if ep % 100 == 99:
            print("epoch", ep, "train", round(loss.item(), 4), "val acc", round(acc, 3))
print("final loss", round(sum(log[-20:]) / 20, 4))
