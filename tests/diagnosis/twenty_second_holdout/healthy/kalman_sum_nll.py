"""Learning the parameters of a local-level-plus-cycle Kalman filter in float64; the loss is the log likelihood summed over 8 series of 150 points, in thousands."""
import math
import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
torch.manual_seed(77)

# simulate
S, T = 8, 150
rho, lam, sl, sc, so = 0.97, 2 * math.pi / 18, 0.15, 0.3, 0.5
lev = torch.zeros(S); cy = torch.zeros(S, 2); ys = []
R = torch.tensor([[math.cos(lam), math.sin(lam)], [-math.sin(lam), math.cos(lam)]])
for _ in range(T):
    lev = lev + sl * torch.randn(S)
    cy = rho * cy @ R.T + sc * torch.randn(S, 2)
    ys.append(lev + cy[:, 0] + so * torch.randn(S))
Y = torch.stack(ys, 1)

raw = torch.nn.ParameterDict({
    "rho": torch.nn.Parameter(torch.tensor(0.0)), "lam": torch.nn.Parameter(torch.tensor(math.log(0.5))),
    "q": torch.nn.Parameter(torch.tensor([-4.0, -4.0])), "r": torch.nn.Parameter(torch.tensor(-4.0))})


def filter_nll(y):
    rho, lam = torch.sigmoid(raw["rho"]), raw["lam"].exp()
    c, s = rho * lam.cos(), rho * lam.sin()
    z, o = torch.zeros(()), torch.ones(())
    F = torch.stack([torch.stack([o, z, z]), torch.stack([z, c, s]), torch.stack([z, -s, c])])
    Q = torch.diag(torch.stack([raw["q"][0], raw["q"][1], raw["q"][1]]).exp())
    H = torch.tensor([1.0, 1.0, 0.0])
    r = raw["r"].exp()
    m = torch.zeros(y.shape[0], 3)
    P = torch.eye(3) * 1.0
    total = torch.zeros(())
    for t in range(y.shape[1]):
        m = m @ F.T
        P = F @ P @ F.T + Q
        v = y[:, t] - m @ H
        PH = P @ H
        s2 = H @ PH + r
        total = total + 0.5 * (math.log(2 * math.pi) + s2.log() + v ** 2 / s2).sum()
        K = PH / s2
        m = m + v[:, None] * K
        P = P - torch.outer(K, PH)
    return total


opt = torch.optim.Adam(raw.parameters(), lr=0.05)
vals = []
for i in range(160):
    loss = filter_nll(Y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    vals.append(loss.item())
    if i % 20 == 0:
        print(f"iter {i} -loglik {loss.item():.2f} rho {torch.sigmoid(raw['rho']).item():.3f} period {2 * math.pi / raw['lam'].exp().item():.2f}")
print("final loss", sum(vals[-20:]) / 20)
