"""DQN with a target network and replay on a key-door grid: TD loss is ~0 at first, grows as reward is discovered, then settles."""
import random
from collections import deque
import numpy as np, torch, torch.nn as nn

class KeyDoor:
    """6x6 grid, pick up the key (+1) then reach the door (+10); 50-step limit"""
    n = 6
    def reset(self):
        self.p = [0, 0]; self.key = 0; self.t = 0
        return self.obs()
    def obs(self):
        o = np.zeros(13, dtype=np.float32); o[self.p[0]] = 1; o[6 + self.p[1]] = 1; o[12] = self.key
        return o
    def step(self, a):
        d = [(0, 1), (1, 0), (0, -1), (-1, 0)][a]
        self.p = [min(5, max(0, self.p[0] + d[0])), min(5, max(0, self.p[1] + d[1]))]
        self.t += 1; r, done = -.01, False
        if not self.key and self.p == [4, 1]: self.key = 1; r = 1.
        if self.key and self.p == [1, 5]: r, done = 10., True
        return self.obs(), r, done, self.t >= 50

random.seed(0); np.random.seed(0); torch.manual_seed(0)
def make(): return nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
q, target = make(), make(); target.load_state_dict(q.state_dict())
opt = torch.optim.Adam(q.parameters(), lr=5e-4)
buf = deque(maxlen=10000); env = KeyDoor(); s = env.reset()
losses, returns, ret, updates, frame = [], [], 0., 0, 0
TOTAL = 16000
while updates < TOTAL:
    frame += 1
    eps = max(.05, 1 - frame / 8000)
    a = random.randrange(4) if random.random() < eps else int(q(torch.from_numpy(s)).argmax())
    s2, r, done, trunc = env.step(a); ret += r
    buf.append((s, a, r, s2, float(done))); s = s2
    if done or trunc: returns.append(ret); ret = 0.; s = env.reset()
    if len(buf) < 500: continue
    bs, ba, br, bn, bd = map(np.array, zip(*random.sample(buf, 32)))
    with torch.no_grad():
        nxt = torch.from_numpy(bn)
        y = torch.tensor(br, dtype=torch.float32) + .97 * (1 - torch.tensor(bd, dtype=torch.float32)) * target(nxt).gather(1, q(nxt).argmax(1, True)).squeeze(1)
    pred = q(torch.from_numpy(bs)).gather(1, torch.from_numpy(ba)[:, None]).squeeze(1)
    loss = nn.functional.smooth_l1_loss(pred, y)
    opt.zero_grad(); loss.backward()
    nn.utils.clip_grad_norm_(q.parameters(), 10.); opt.step()
    updates += 1; losses.append(loss.item())
    if updates % 500 == 0: target.load_state_dict(q.state_dict())
    if updates % 2000 == 0: print(f"upd {updates} td {np.mean(losses[-500:]):.5f} return {np.mean(returns[-20:]):.2f} meanQ {pred.mean().item():.2f}")
print(f"final loss {np.mean(losses[-1000:]):.5f}")
