"""Language model on a little grammar, sixty-four micro-batches accumulated for each SGD step.

Cause: loss-scale
Fails: the micro-batch losses are not divided by their number, so each step is 64 times as large; the loss jumps up and stays up
"""
import random
import torch
import torch.nn as nn

random.seed(1)
torch.manual_seed(1)
SUBJ, VERB, OBJ = ["cat", "dog", "bird", "girl"], {"cat": ["eats", "sees"], "dog": ["bites", "sees"], "bird": ["sings", "eats"], "girl": ["reads", "sings"]}, ["fish", "bone", "song", "book"]
WORDS = ["<s>", "the", "a", "and", "."] + SUBJ + sorted({v for vs in VERB.values() for v in vs}) + OBJ
IDX = {w: i for i, w in enumerate(WORDS)}


def clause():
    s = random.choice(SUBJ)
    return [random.choice(["the", "a"]), s, random.choice(VERB[s]), "the", random.choice(OBJ)]


def text():
    return ["<s>"] + clause() + ["and"] + clause() + ["."]


class TinyLM(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(len(WORDS), d)
        self.rnn = nn.GRU(d, d, batch_first=True)
        self.out = nn.Linear(d, len(WORDS))

    def forward(self, x):
        return self.out(self.rnn(self.emb(x))[0])


config = {"micro_batch": 4, "accumulate": 64, "lr": 0.5, "momentum": 0.9, "updates": 45}
model = TinyLM()
opt = torch.optim.SGD(model.parameters(), lr=config["lr"], momentum=config["momentum"])
lossf = nn.CrossEntropyLoss()
for update in range(config["updates"]):
    opt.zero_grad()
    shown = 0.0
    for _ in range(config["accumulate"]):
        ids = torch.tensor([[IDX[w] for w in text()] for _ in range(config["micro_batch"])])
        loss = lossf(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])
        loss.backward()  # fix: (loss / config["accumulate"]).backward()
        shown += loss.item() / config["accumulate"]
    opt.step()
    if update % 5 == 0:
        print(f"update {update}: {shown:.3f}")
print("final loss", shown)
