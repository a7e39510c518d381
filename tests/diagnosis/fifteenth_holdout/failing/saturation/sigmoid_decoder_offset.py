"""A denoising autoencoder of the digit images with a sigmoid decoder and squared error.

Cause: saturation
Fails: the decoder's offset is the log-odds of raw ink sums, the output sigmoids sit at zero and one and pass no gradient
"""
import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(20)
ink = torch.tensor(load_digits().data, dtype=torch.float32)
imgs = ink / 16


class Denoiser(nn.Module):
    def __init__(self, mean_pixel, code=24):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(64, 80), nn.SiLU(), nn.Linear(80, code))
        self.up = nn.Sequential(nn.SiLU(), nn.Linear(code, 80), nn.SiLU(), nn.Linear(80, 64))
        with torch.no_grad():
            self.up[-1].bias.copy_(12 * (mean_pixel - 8))  # fix: self.up[-1].bias.copy_(torch.logit(mean_pixel / 16, eps=0.02))

    def forward(self, x):
        return torch.sigmoid(self.up(self.down(x)))


model = Denoiser(ink.mean(0))
opt = torch.optim.SGD(model.parameters(), lr=2.0, momentum=0.9)
record = []
for epoch in range(35):
    for b in torch.randperm(len(imgs)).split(64):
        clean = imgs[b]
        noisy = clean + 0.15 * torch.randn_like(clean)
        loss = (model(noisy) - clean).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        record.append(loss.item())
    if epoch % 7 == 0:
        print(epoch, record[-1])
print("final loss", sum(record[-28:]) / 28)
