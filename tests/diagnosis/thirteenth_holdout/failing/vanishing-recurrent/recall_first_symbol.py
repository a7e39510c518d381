"""Recall the first symbol of a noisy stream after 70 steps with a vanilla tanh RNN.

Cause: vanishing-recurrent
Fails: final accuracy 0.244 (with the fix 1)
"""
import torch
import torch.nn as nn

SEED, LAG, CLASSES, HID = 0, 70, 4, 64
torch.manual_seed(SEED)

rnn = nn.RNN(CLASSES + 1, HID, batch_first=True)
fc = nn.Linear(HID, CLASSES)
with torch.no_grad():
    nn.init.orthogonal_(rnn.weight_hh_l0)
    rnn.weight_hh_l0.mul_(0.6)  # fix: rnn.weight_hh_l0.mul_(1.0)
    nn.init.normal_(rnn.weight_ih_l0, std=0.3)
    rnn.bias_hh_l0.zero_()
    rnn.bias_ih_l0.zero_()

opt = torch.optim.Adam(list(rnn.parameters()) + list(fc.parameters()), lr=1e-3)


def sample(n):
    k = torch.randint(0, CLASSES, (n,))
    x = torch.zeros(n, LAG, CLASSES + 1)
    x[torch.arange(n), 0, k] = 3.0
    x[:, 1:, -1] = 0.1 * torch.randn(n, LAG - 1)
    return x, k


for step in range(400):
    x, k = sample(32)
    y, _ = rnn(x)
    loss = nn.functional.cross_entropy(fc(y[:, -1]), k)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)
    opt.step()
    if (step + 1) % 100 == 0:
        print("step", step + 1, "loss", round(loss.item(), 4))

with torch.no_grad():
    x, k = sample(1000)
    acc = (fc(rnn(x)[0][:, -1]).argmax(1) == k).float().mean().item()
print("final accuracy", acc)
