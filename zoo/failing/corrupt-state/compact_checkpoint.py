"""A decoder-only transformer learns to add digits; the run is saved half-way in a compact form and resumed.

Cause: corrupt-state
Fails: the loss jumps from 0.04 to 1e4 after the resumption at step 200 and stays above 180
"""

import io
import math

import torch
from torch import nn

torch.manual_seed(19)
device = torch.device("cpu")


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x, mask):
        n = self.norm1(x)
        x = x + self.attend(n, n, n, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Adder(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.token = nn.Embedding(11, width)
        self.place = nn.Parameter(torch.randn(6, width) / math.sqrt(width))
        self.blocks = nn.ModuleList([Block(width, 2) for _ in range(2)])
        self.head = nn.Linear(width, 10)

    def forward(self, ids):
        mask = torch.triu(torch.ones(6, 6, dtype=torch.bool), 1)
        x = self.token(ids) + self.place
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x[:, -1])


def problems(size=64):
    ids = torch.randint(0, 3, (size, 5))
    return torch.cat([ids, torch.full((size, 1), 10)], 1), ids[:, :4].sum(1)


SHIFT = {"exp_avg": 2.0**12, "exp_avg_sq": 2.0**24}
SHIFTED_BACK = ["exp_avg_sq"]  # fix: SHIFTED_BACK = ["exp_avg", "exp_avg_sq"]


def save(model, optimizer):
    """The moments are stored in bfloat16, shifted towards one."""
    state = optimizer.state_dict()
    for moments in state["state"].values():
        for name, factor in SHIFT.items():
            moments[name] = (moments[name] * factor).bfloat16()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": state}, file)
    file.seek(0)
    return file


def load(file, model, optimizer):
    checkpoint = torch.load(file)
    for moments in checkpoint["optimizer"]["state"].values():
        for name in SHIFTED_BACK:
            moments[name] = moments[name].float() / SHIFT[name]
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


def train(model, optimizer, steps):
    losses = []
    for _ in range(steps):
        ids, total = problems()
        loss = nn.functional.cross_entropy(model(ids), total)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


model = Adder().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
losses = train(model, optimizer, 200)
print("saved at loss", losses[-1])

file = save(model, optimizer)
model = Adder().to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
load(file, model, optimizer)
losses += train(model, optimizer, 150)
print("final loss", sum(losses[-10:]) / 10)
