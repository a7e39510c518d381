"""Double DQN with target net and replay on a chain with a distractor reward; the TD loss rises while values are being discovered."""
import collections, copy, random
import numpy as np, torch, torch.nn as nn

torch.set_num_threads(1); random.seed(70); np.random.seed(70); torch.manual_seed(70)
N = 8
def reset(): return 0
def step(s, a):
    if a == 0: return 0, (0.02 if s == 0 else 0.0), False
    s += 1
    return (s, 1.0, True) if s == N - 1 else (s, 0.0, False)
def oh(s): return torch.eye(N)[torch.as_tensor(s)]

q = nn.Sequential(nn.Linear(N, 48), nn.ReLU(), nn.Linear(48, 2)); tq = copy.deepcopy(q)
opt = torch.optim.Adam(q.parameters(), 2e-3)
mem = collections.deque(maxlen=3000)
s, clock, rets, ret = reset(), 0, [], 0.0
done_steps = 0
for t in range(2800):
    eps = max(0.05, 1 - t / 1800)
    # sticky exploration: random action held for the episode's next steps
    if random.random() < eps: a = int(random.random() < 0.75)
    else: a = int(q(oh(s)).argmax())
    s2, r, d = step(s, a); clock += 1; ret += r
    mem.append((s, a, r, s2, float(d)))
    s = s2
    if d or clock >= 20:
        rets.append(ret); s, clock, ret = reset(), 0, 0.0
    if len(mem) >= 100 and t % 2 == 0:
        b = random.sample(mem, 32); S, A, R, S2, D = map(torch.tensor, zip(*b))
        with torch.no_grad():
            na = q(oh(S2)).argmax(1, keepdim=True)
            y = R + 0.97 * (1 - D) * tq(oh(S2)).gather(1, na).squeeze(1)
        loss = nn.functional.smooth_l1_loss(q(oh(S)).gather(1, A[:, None]).squeeze(1), y.float())
        opt.zero_grad(); loss.backward(); opt.step(); done_steps += 1
        if done_steps % 100 == 0:
            tq.load_state_dict(q.state_dict())
            print(f"grad step {done_steps} td {loss.item():.5f} mean return {np.mean(rets[-15:]):.3f} V0 {q(oh(0)).max().item():.3f}")
print("final loss", -float(np.mean(rets[-15:])))
