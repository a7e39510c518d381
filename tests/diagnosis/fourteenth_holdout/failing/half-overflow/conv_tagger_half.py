"""A bidirectional tagger labels words of artificial sentences in float16 autocast under a constant loss scale.

Cause: half-overflow
Fails: the loss is NaN from step 1 on
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

TAGS, WORDS, LENGTH = 5, 80, 12
LOSS_SCALE = 2.0**22  # fix: LOSS_SCALE = 2.0**10


def sentence_batch(size, tag_of, generator):
    words = torch.randint(0, WORDS, (size, LENGTH), generator=generator)
    tags = tag_of[words]
    after_verb = F.pad(tags[:, :-1] == 1, (1, 0))
    return words, torch.where(after_verb & (tags == 0), 4, tags)


class Tagger(nn.Module):
    def __init__(self, width=32, hidden=32):
        super().__init__()
        self.words = nn.Embedding(WORDS, width)
        self.left = nn.Conv1d(width, hidden, 3, padding=1)
        self.deep = nn.ModuleList(nn.Conv1d(hidden, hidden, 3, padding=1) for _ in range(2))
        self.out = nn.Conv1d(hidden, TAGS, 1)

    def forward(self, words):
        with torch.autocast("cpu", dtype=torch.float16):
            h = F.gelu(self.left(self.words(words).transpose(1, 2)))
            for layer in self.deep:
                h = h + F.gelu(layer(h))
            return self.out(h)


class Engine:
    def __init__(self, process, handlers=()):
        self.process, self.handlers, self.iteration = process, handlers, 0

    def run(self, steps):
        for self.iteration in range(steps):
            output = self.process(self)
            for handler in self.handlers:
                handler(self, output)


def create_trainer(seed=11):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    tag_of = torch.randint(0, 4, (WORDS,), generator=generator)
    model = Tagger()
    optimizer = torch.optim.RAdam(model.parameters(), lr=5e-3)
    log = []

    def process(engine):
        words, tags = sentence_batch(16, tag_of, generator)
        loss = F.cross_entropy(model(words).float(), tags)
        optimizer.zero_grad()
        (loss * LOSS_SCALE).backward()
        for p in model.parameters():
            p.grad /= LOSS_SCALE
        optimizer.step()
        return loss.item()

    def note(engine, output):
        log.append(output)
        if engine.iteration % 30 == 0:
            print(f"[{engine.iteration}] {output:.4f}")

    return Engine(process, [note]), log


engine, log = create_trainer()
engine.run(150)
print("final loss", sum(log[-15:]) / 15)
