"""float16 autocast with a GradScaler that starts far too high: it skips its first steps, then trains."""
import torch
from torch import nn

torch.manual_seed(3)
xs = torch.rand(2000, 8)
ys = (xs[:, :4].prod(1) * 16 + xs[:, 4] - xs[:, 5] ** 2).unsqueeze(1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, x):
        return self.body(x)


model = Model()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 24, growth_interval=60)
for epoch in range(12):
    run = 0.0
    for i in torch.randperm(len(xs)).split(64):
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            out = model(xs[i])
        loss = nn.functional.mse_loss(out.float(), ys[i])
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
        run += loss.item() * len(i) / len(xs)
    print("epoch", epoch, "loss", run, "scale", scaler.get_scale())
print("final loss", run)
