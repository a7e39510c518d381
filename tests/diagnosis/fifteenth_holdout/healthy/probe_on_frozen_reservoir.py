"""A linear readout on a frozen random echo-state network predicts the logistic map driven by slow forcing; most parameters never move."""
import torch
from torch import nn

torch.manual_seed(14)


class Reservoir(nn.Module):
    def __init__(self, n=120, radius=0.9):
        super().__init__()
        W = torch.randn(n, n) * (torch.rand(n, n) < 0.1)
        W = W * radius / torch.linalg.eigvals(W).abs().max()
        self.W = nn.Parameter(W, requires_grad=False)
        self.Win = nn.Parameter(torch.randn(n) * 0.8, requires_grad=False)
        self.read = nn.utils.parametrizations.weight_norm(nn.Linear(n, 1))

    @torch.no_grad()
    def run(self, u):
        h, out = torch.zeros(len(self.Win)), []
        for x in u:
            h = torch.tanh(self.W @ h + self.Win * x)
            out.append(h)
        return torch.stack(out)


u = [0.4]
for t in range(1500):
    a = 3.6 + 0.25 * torch.sin(torch.tensor(t / 60.0)).item()
    u.append(a * u[-1] * (1 - u[-1]))
u = torch.tensor(u)
net = Reservoir()
H = net.run(u[:-1] * 2 - 1)[100:]
Y = u[101:]
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
log = []
for step in range(900):
    i = torch.randint(0, len(H), (64,))
    loss = nn.functional.mse_loss(net.read(H[i]).squeeze(1), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
print("first loss", log[0])
print("final loss", sum(log[-50:]) / 50)
