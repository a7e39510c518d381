"""A stack of dilated causal convolutions (WaveNet without skips) predicts the next mu-law bin of a synthetic vowel.

Cause: init-gain
"""
import math
import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
rng = np.random.default_rng(8)
torch.manual_seed(8)

SR, Q = 4000, 32
def vowel(n):
    t = np.arange(n) / SR
    f0 = 110 + 15 * np.sin(2 * np.pi * 2.5 * t)
    ph = 2 * np.pi * np.cumsum(f0) / SR
    s = sum(a * np.sin(h * ph) for h, a in [(1, .6), (2, .8), (5, .5), (9, .25)])
    return s / 2.2 + 0.02 * rng.standard_normal(n)

wav = np.clip(vowel(30000), -1, 1)
mu = np.sign(wav) * np.log1p(255 * np.abs(wav)) / np.log(256)
codes = torch.tensor(((mu + 1) / 2 * (Q - 1)).round().astype(np.int64))
sig = torch.tensor(mu, dtype=torch.float32)

CH, K, DIL = 32, 5, [1, 2, 4, 8, 16, 1, 2, 4, 8, 16]
params = {}
def conv_w(name, cout, cin, k):
    std = math.sqrt(2.0 / cin)  # fix: std = math.sqrt(2.0 / (cin * k))
    params[name + ".w"] = torch.nn.Parameter(torch.randn(cout, cin, k) * std)
    params[name + ".b"] = torch.nn.Parameter(torch.zeros(cout))

conv_w("in", CH, 1, K)
for i, _ in enumerate(DIL):
    conv_w(f"l{i}", CH, CH, K)
conv_w("out", Q, CH, 1)

def causal(x, name, d=1):
    w = params[name + ".w"]
    x = F.pad(x, ((w.shape[-1] - 1) * d, 0))
    return F.conv1d(x, w, params[name + ".b"], dilation=d)

def model(x):
    h = F.relu(causal(x[:, None], "in"))
    for i, d in enumerate(DIL):
        h = F.relu(causal(h, f"l{i}", d))
    return causal(h, "out")

opt = torch.optim.SGD(params.values(), lr=0.02, momentum=0.9, nesterov=True)
L, B, hist = 256, 8, []
for step in range(350):
    s = rng.integers(0, len(sig) - L - 1, B)
    x = torch.stack([sig[i:i + L] for i in s])
    y = torch.stack([codes[i + 1:i + L + 1] for i in s])
    loss = F.cross_entropy(model(x)[..., 100:], y[:, 100:])
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 40 == 0:
        print(f"{step:4d} nll/bin {loss.item():.4f}")
print("final loss", np.mean(hist[-20:]))
