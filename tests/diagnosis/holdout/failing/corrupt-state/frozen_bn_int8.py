"""Fine-tuning with frozen batch norm: running statistics come back from an int8-compressed snapshot.

Cause: corrupt-state
Fails: small running variances are rounded to zero on the way, activations come out hundreds of times too large and the loss explodes after the resume
"""

import io

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(81)
scale_of = torch.logspace(-1.3, 0.9, 16)
mixing = torch.randn(16, 16) / 4


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn_in = nn.BatchNorm1d(16)
        self.fc1 = nn.Linear(16, 64)
        self.bn1 = nn.BatchNorm1d(64)
        self.fc2 = nn.Linear(64, 3)

    def forward(self, x):
        x = self.fc1(self.bn_in(x))
        return self.fc2(F.relu(self.bn1(x)))


def freeze_bn(model):
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.eval()


def compress(t):
    top = t.abs().max()
    return (t / top * 127).round().to(torch.int8), top


def roundtrip(state):
    """Snapshot to memory; buffers of floating type are squeezed to one byte per value."""
    packed = {}
    for name, t in state.items():
        packed[name] = compress(t) if "running_var" in name else t  # fix: packed[name] = t
    blob = io.BytesIO()
    torch.save(packed, blob)
    blob.seek(0)
    out = torch.load(blob)
    return {n: (v[0].float() / 127 * v[1] if isinstance(v, tuple) else v) for n, v in out.items()}


def batch(n=64):
    z = torch.randn(n, 16)
    y = (z @ mixing)[:, :3].argmax(1)
    return z * scale_of, y


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
hist = []
for step in range(360):
    if step == 180:
        net.load_state_dict(roundtrip(net.state_dict()))
    net.train()
    if step >= 180:
        freeze_bn(net)
    x, y = batch()
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
print("final loss", sum(hist[-10:]) / 10)
