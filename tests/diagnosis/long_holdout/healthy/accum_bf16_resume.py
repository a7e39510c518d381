"""Speech-command-like 1-d conv classifier: bf16 autocast, gradient accumulation of 4, checkpoint and resume in a fresh process state midway."""
import os, random, tempfile
import numpy as np, torch, torch.nn as nn

def synth(n, rng):
    t = np.arange(128) / 128
    y = rng.integers(0, 6, n)
    f0 = 4 + 2 * (y % 3); sweep = np.where(y >= 3, 6, -2)
    ph = rng.uniform(0, 6.28, (n, 1))
    env = np.exp(-((t - rng.uniform(.3, .7, (n, 1))) ** 2) / .06)
    x = np.sin(2 * np.pi * (f0[:, None] * t + sweep[:, None] * t ** 2) + ph) * env * rng.lognormal(0, .4, (n, 1)) + rng.normal(0, .3, (n, 128))
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(y)

def build():
    net = nn.Sequential(nn.Conv1d(1, 12, 9, 4, 4), nn.GroupNorm(3, 12), nn.GELU(), nn.Conv1d(12, 24, 5, 2, 2), nn.GroupNorm(3, 24), nn.GELU(),
                        nn.Conv1d(24, 24, 3, 2, 1), nn.GELU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Dropout(.1), nn.Linear(96, 6))
    opt = torch.optim.AdamW(net.parameters(), lr=1.5e-3, weight_decay=.02)
    sch = torch.optim.lr_scheduler.PolynomialLR(opt, total_iters=4000, power=1.)
    return net, opt, sch

ACC, HALF, STEPS = 4, 2000, 4000
def train(net, opt, sch, start, stop, rng, log):
    for step in range(start, stop):
        tot = 0.
        for _ in range(ACC):
            x, y = synth(8, rng)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = nn.functional.cross_entropy(net(x), y) / ACC
            loss.backward(); tot += loss.item()
        nn.utils.clip_grad_norm_(net.parameters(), 1.)
        opt.step(); opt.zero_grad(set_to_none=True); sch.step()
        log.append(tot)
        if step % 400 == 0: print(f"step {step} loss {np.mean(log[-100:]):.4f} lr {sch.get_last_lr()[0]:.2e}")

torch.manual_seed(61); rng = np.random.default_rng(61); log = []
with tempfile.TemporaryDirectory() as d:
    ck = os.path.join(d, "last.pt")
    net, opt, sch = build()
    train(net, opt, sch, 0, HALF, rng, log)
    torch.save({"net": net.state_dict(), "opt": opt.state_dict(), "sch": sch.state_dict(), "step": HALF}, ck)
    del net, opt, sch
    print("-- preempted; resuming")
    net, opt, sch = build(); c = torch.load(ck)
    net.load_state_dict(c["net"]); opt.load_state_dict(c["opt"]); sch.load_state_dict(c["sch"])
    train(net, opt, sch, c["step"], STEPS, rng, log)
print(f"final loss {np.mean(log[-200:]):.4f}")
