"""Non-saturating GAN on an 8-mode ring of Gaussians: thousands of steps of oscillating losses, generator EMA for samples."""
import copy, math
import torch, torch.nn as nn, torch.nn.functional as F

torch.manual_seed(10)
def real(n):
    k = torch.randint(8, (n,)).float() * math.pi / 4
    return torch.stack([k.cos(), k.sin()], 1) * 2 + .08 * torch.randn(n, 2)

def mlp(i, o, act): return nn.Sequential(nn.Linear(i, 64), act(), nn.Linear(64, 64), act(), nn.Linear(64, o))
G, D = mlp(8, 2, nn.ReLU), mlp(2, 1, lambda: nn.LeakyReLU(.2))
E = copy.deepcopy(G)
og = torch.optim.Adam(G.parameters(), 5e-4, betas=(.5, .9))
od = torch.optim.Adam(D.parameters(), 5e-4, betas=(.5, .9))
B = 64
gl, dl = [], []
for it in range(8000):
    # discriminator (R1 every 8 steps keeps it tame)
    x = real(B)
    fake = G(torch.randn(B, 8)).detach()
    lossD = F.softplus(-D(x)).mean() + F.softplus(D(fake)).mean()
    if it % 8 == 0:
        x.requires_grad_(True)
        g, = torch.autograd.grad(D(x).sum(), x, create_graph=True)
        lossD = lossD + 8 * .05 * g.pow(2).sum(1).mean()
    od.zero_grad(); lossD.backward(); od.step()
    # generator
    lossG = F.softplus(-D(G(torch.randn(B, 8)))).mean()
    og.zero_grad(); lossG.backward(); og.step()
    with torch.no_grad():
        for pe, p in zip(E.parameters(), G.parameters()): pe.lerp_(p, .005)
    gl.append(lossG.item()); dl.append(lossD.item())
    if it % 1000 == 999:
        with torch.no_grad():
            s = E(torch.randn(1000, 8)); ang = torch.atan2(s[:, 1], s[:, 0]); near = (s.norm(dim=1) - 2).abs() < .3
            modes = len(set(((ang[near] / (math.pi / 4)).round() % 8).int().tolist()))
        print(f"it {it+1} D {sum(dl[-200:])/200:.3f} G {sum(gl[-200:])/200:.3f} modes {modes} on-ring {near.float().mean():.2f}")
print(f"final loss {sum(gl[-1000:])/1000:.4f}")
