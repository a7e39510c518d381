"""Actor-critic on a hand-written cart-pole: episode returns grow from ~20 to 200, so the critic's loss grows by orders of magnitude."""
import math, torch, numpy as np
from torch import nn
from torch.distributions import Categorical

class CartPoles:
    """vectorised cart-pole, auto reset"""
    def __init__(self, n, rng): self.n, self.rng = n, rng; self.s = self._new(n); self.t = np.zeros(n, int)
    def _new(self, k): return self.rng.uniform(-.05, .05, (k, 4))
    def step(self, a):
        x, xd, th, thd = self.s.T; f = np.where(a == 1, 10., -10.)
        tmp = (f + .05 * thd**2 * np.sin(th)) / 1.1
        tha = (9.8*np.sin(th) - np.cos(th)*tmp) / (.5*(4/3 - .1*np.cos(th)**2/1.1))
        xa = tmp - .05*tha*np.cos(th)/1.1
        self.s = np.stack([x+.02*xd, xd+.02*xa, th+.02*thd, thd+.02*tha], 1); self.t += 1
        fail = (np.abs(self.s[:, 0]) > 2.4) | (np.abs(self.s[:, 2]) > .2095); cut = (self.t >= 200) & ~fail
        end = self.s.copy(); lens = self.t[fail | cut].tolist(); d = fail | cut
        self.s[d] = self._new(d.sum()); self.t[d] = 0
        return end, fail, cut, lens

class AC(nn.Module):
    def __init__(self):
        super().__init__()
        self.pi = nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Linear(48, 2))
        self.v = nn.Sequential(nn.Linear(4, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))

T = lambda a: torch.as_tensor(a, dtype=torch.float32)
def main(updates=4500, n=8, horizon=8, gamma=.99, seed=3):
    torch.manual_seed(seed); rng = np.random.default_rng(seed)
    env, net = CartPoles(n, rng), AC()
    opt_p = torch.optim.Adam(net.pi.parameters(), 1.5e-3); opt_v = torch.optim.Adam(net.v.parameters(), 2e-3)
    lens, hist = [], []
    for u in range(updates):
        S, A, M, Bn = [], [], [], []
        for _ in range(horizon):
            s = T(env.s * [1, 1, 5, 1])
            with torch.no_grad(): a = Categorical(logits=net.pi(s)).sample()
            end, fail, cut, ls = env.step(a.numpy()); lens += ls
            S.append(s); A.append(a); M.append(T(~(fail | cut)))
            with torch.no_grad(): vend = net.v(T(end * [1, 1, 5, 1])).squeeze(1)
            Bn.append(vend * T(~fail))
        R, rets = Bn[-1], []
        for k in reversed(range(horizon)):
            R = 1 + gamma * (M[k] * R + (1 - M[k]) * Bn[k]) if k < horizon - 1 else 1 + gamma * Bn[k]
            rets.append(R)
        R = torch.stack(rets[::-1]).flatten(); s = torch.cat(S); a = torch.cat(A)
        v = net.v(s).squeeze(1); adv = (R - v).detach()
        vloss = (v - R).pow(2).mean()
        dist = Categorical(logits=net.pi(s))
        ploss = -(dist.log_prob(a) * (adv - adv.mean()) / (adv.std() + 1e-6)).mean() - .01 * dist.entropy().mean()
        opt_p.zero_grad(); ploss.backward(); nn.utils.clip_grad_norm_(net.pi.parameters(), .5); opt_p.step()
        opt_v.zero_grad(); vloss.backward(); nn.utils.clip_grad_norm_(net.v.parameters(), 10.); opt_v.step()
        f = 1 - .95 * u / updates; opt_p.param_groups[0]["lr"] = 1.5e-3 * f; opt_v.param_groups[0]["lr"] = 2e-3 * f
        hist.append(vloss.item())
        if u % 500 == 0: print(f"update {u} v-loss {np.mean(hist[-200:]):.3f} p-loss {ploss.item():.4f} len {np.mean(lens[-50:]) if lens else 0:.1f}")
    print(f"last episodes {np.mean(lens[-50:]):.1f}")
    print(f"final loss {np.mean(hist[-300:]):.4f}")
main()
