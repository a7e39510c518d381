"""Trains an LSTM that reads a long token stream and must name the topic token given at the very start.
Cause: vanishing-recurrent
Fails: the loss stays at ln(8) = 2.08 throughout.
"""
import torch
from torch import nn

SEED = 17
torch.manual_seed(SEED)


class Config:
    topics = 8
    vocab = 40
    length = 50
    hidden = 64
    batch = 64
    steps = 200
    forget_bias = -1.0  # fix: forget_bias = 3.0


class TopicReader(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed = nn.Embedding(c.vocab, 32)
        self.lstm = nn.LSTM(32, c.hidden, batch_first=True)
        self.head = nn.Linear(c.hidden, c.topics)
        H = c.hidden
        for name, p in self.lstm.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(p)
            elif "bias_ih" in name:
                nn.init.zeros_(p)
                p.data[H:2 * H].fill_(c.forget_bias)
            elif "bias_hh" in name:
                nn.init.zeros_(p)

    def forward(self, ids):
        out, _ = self.lstm(self.embed(ids))
        return self.head(out[:, -1])


class Trainer:
    def __init__(self, c):
        self.c, self.model = c, TopicReader(c)
        self.opt = torch.optim.Adam(self.model.parameters(), 3e-3)
        self.avg = None

    def batch(self):
        c = self.c
        y = torch.randint(0, c.topics, (c.batch,))
        x = torch.randint(c.topics, c.vocab, (c.batch, c.length))
        x[:, 0] = y
        return x, y

    def fit(self):
        for s in range(self.c.steps):
            x, y = self.batch()
            loss = nn.functional.cross_entropy(self.model(x), y)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.avg = loss.item() if self.avg is None else 0.95 * self.avg + 0.05 * loss.item()
            if s % 50 == 0:
                print(f"[{s}] {self.avg:.4f}")
        return self.avg


print("final loss %.4f" % Trainer(Config()).fit())
