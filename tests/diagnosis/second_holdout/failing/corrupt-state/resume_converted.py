"""Resumes a sequence-to-vector regressor from a checkpoint converted from another framework's Adam.

Cause: corrupt-state
Fails: the converter swaps first and second moments; the root of a negative second moment makes the weights NaN in the first step after the resume
"""
import numpy as np
import torch
import torch.nn as nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 48, 5, padding=2)
        self.fc1 = nn.Linear(48 * 16, 64)
        self.fc2 = nn.Linear(64, 3)

    def forward(self, x):
        h = torch.relu(self.conv(x.transpose(1, 2))).flatten(1)
        return self.fc2(torch.relu(self.fc1(h)))


def data(n=64):
    x = torch.randn(n, 16, 6) * 0.5
    return x, torch.tanh(x.cumsum(1)[..., :3]).mean(1)


def train(model, opt, steps, tag):
    for i in range(steps):
        x, y = data()
        loss = ((model(x) - y) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if i % 50 == 0:
            print(tag, i, loss.item())
    return loss.item()


def export(model, opt):
    """What the other framework's saver writes: slots of Adam by parameter, t apart."""
    blob = {"weights": {k: v.detach().numpy().copy() for k, v in model.named_parameters()}, "slots": [], "t": 0}
    for st in opt.state.values():
        blob["slots"].append((st["exp_avg"].numpy().copy(), st["exp_avg_sq"].numpy().copy()))
        blob["t"] = float(st["step"])
    return blob


def restore(blob, model, opt):
    model.load_state_dict({k: torch.from_numpy(v) for k, v in blob["weights"].items()})
    sd = opt.state_dict()
    for i, slots in enumerate(blob["slots"]):
        v, m = (torch.from_numpy(np.asarray(s)) for s in slots)  # fix: m, v = (torch.from_numpy(np.asarray(s)) for s in slots)
        sd["state"][i] = {"step": torch.tensor(blob["t"]), "exp_avg": m, "exp_avg_sq": v}
    opt.load_state_dict(sd)


torch.manual_seed(17)
net = Model()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
train(net, opt, 200, "before")
blob = export(net, opt)

net = Model()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
restore(blob, net, opt)
print("final loss", train(net, opt, 300, "resumed"))
