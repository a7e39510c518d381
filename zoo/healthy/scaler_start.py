"""Mixed precision with a gradient scaler that starts too high: the first steps overflow, and that is how it works."""

import torch
from torch import nn

torch.manual_seed(4)
device = "cpu"
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)).to(device)
centres = torch.randn(3, 20)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler(device, init_scale=2.0**24, growth_interval=100)

mean = None
for _ in range(400):
    target = torch.randint(0, 3, (32,), device=device)
    inputs = centres[target] + 1.5 * torch.randn(32, 20, device=device)
    optimizer.zero_grad()
    with torch.autocast(device_type=device, dtype=torch.float16):
        loss = nn.functional.cross_entropy(model(inputs), target)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    scaler.step(optimizer)
    scaler.update()
    mean = loss.item() if mean is None else 0.97 * mean + 0.03 * loss.item()

print("scale", scaler.get_scale())
print("final loss", mean)
