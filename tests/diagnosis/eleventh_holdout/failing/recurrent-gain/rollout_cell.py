"""Learned rollout of a game creature: a residual recurrent cell summarises 60 frames of controller input.

Cause: recurrent-gain
Fails: the loss is not finite from backward call 1 on (counted from 0, of 200); the final value is nan
"""
import numpy as np
import torch
from torch import nn

HID, T, BATCH, STEPS = 48, 60, 32, 200


class CreatureCell(nn.Module):
    def __init__(self, n_in, hid):
        super().__init__()
        self.wx = nn.Linear(n_in, hid)
        self.wh = nn.Linear(hid, hid, bias=False)
        self.gate = nn.Linear(n_in + hid, hid)
        with torch.no_grad():
            nn.init.orthogonal_(self.wh.weight, gain=0.5)

    def forward(self, x, h):
        z = torch.sigmoid(self.gate(torch.cat([x, h], -1)))
        cand = torch.nn.functional.elu(self.wx(x) + self.wh(h))
        return h + z * cand  # fix: return (1 - z) * h + z * cand


class Brain(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = CreatureCell(3, HID)
        self.readout = nn.Sequential(nn.Linear(HID, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, seq):
        h = seq.new_zeros(seq.shape[1], HID)
        for x in seq:
            h = self.cell(x, h)
        return self.readout(h)


def record_episode(rng, n):
    pad = rng.normal(size=(T, n, 3)).astype(np.float32)
    vel = np.zeros((n, 2), np.float32)
    for t in range(T):
        vel = 0.8 * vel + pad[t, :, :2] * (1 + 0.3 * np.tanh(pad[t, :, 2:]))
    return torch.from_numpy(pad), torch.from_numpy(vel.astype(np.float32))


def main():
    torch.manual_seed(21)
    rng = np.random.default_rng(21)
    brain = Brain()
    opt = torch.optim.SGD(brain.parameters(), lr=0.01, momentum=0.9)
    tail = []
    for it in range(STEPS):
        seq, target = record_episode(rng, BATCH)
        loss = ((brain(seq) - target) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        tail = (tail + [loss.item()])[-20:]
        if it % 40 == 0:
            print("iter", it, "loss", loss.item())
    print("final loss", float(np.mean(tail)))


if __name__ == "__main__":
    main()
