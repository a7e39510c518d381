"""Char LSTM on log lines; training is preempted once and continues from its own checkpoint.

Cause: corrupt-state
Fails: the loss is not finite from step 201 on (resumed after step 200)
"""
import io
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(2); torch.manual_seed(2)
LEVELS, MODS = ["INFO", "WARN", "ERROR"], ["db", "auth", "cache", "queue"]
text = "".join(
    f"{random.choice(LEVELS)} [{random.choice(MODS)}] t={random.randint(100, 999)} {random.choice(['ok', 'retry', 'timeout', 'closed'])}\n"
    for _ in range(3000))
chars = sorted(set(text)); V = len(chars)
data = torch.tensor([chars.index(c) for c in text])


class CharLSTM(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.emb = nn.Embedding(V, h)
        self.lstm = nn.LSTM(h, h, batch_first=True)
        self.out = nn.Linear(h, V)

    def forward(self, x):
        return self.out(self.lstm(self.emb(x))[0])


def build():
    m = CharLSTM()
    return m, torch.optim.Adam(m.parameters(), lr=2e-3)


def save(model, opt):
    moments = [(opt.state[p]["exp_avg"], opt.state[p]["exp_avg_sq"]) for p in model.parameters()]
    step = next(iter(opt.state.values()))["step"]
    buf = io.BytesIO()
    torch.save({"model": model.state_dict(), "moments": moments, "step": step}, buf)
    return buf.getvalue()


def load(blob):
    model, opt = build()
    ck = torch.load(io.BytesIO(blob))
    model.load_state_dict(ck["model"])
    for p, (nu, mu) in zip(model.parameters(), ck["moments"]):  # fix: for p, (mu, nu) in zip(model.parameters(), ck["moments"]):
        opt.state[p] = {"step": ck["step"].clone(), "exp_avg": mu, "exp_avg_sq": nu}
    return model, opt


def train(model, opt, steps, log):
    for _ in range(steps):
        i = torch.randint(len(data) - 41, (24,))
        x = torch.stack([data[j:j + 40] for j in i])
        y = torch.stack([data[j + 1:j + 41] for j in i])
        loss = F.cross_entropy(model(x).reshape(-1, V), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item())
        if len(log) % 50 == 0:
            print(len(log), round(log[-1], 4))


log = []
model, opt = build()
train(model, opt, 200, log)
model, opt = load(save(model, opt))
train(model, opt, 100, log)
print("final loss", sum(log[-20:]) / 20)
