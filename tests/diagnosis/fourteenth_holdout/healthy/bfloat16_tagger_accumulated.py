"""A bidirectional LSTM tagger in bfloat16 autocast over packed sentences, gradients of four micro batches accumulated and
averaged, NAdam with a long warm-up: coarse numbers, a jagged loss."""

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

torch.manual_seed(109)


class Tagger(nn.Module):
    def __init__(self, words=40, tags=4):
        super().__init__()
        self.embedding = nn.Embedding(words, 24)
        self.lstm = nn.LSTM(24, 32, bidirectional=True)
        self.out = nn.Linear(64, tags)

    def forward(self, packed):
        embedded = PackedSequence(self.embedding(packed.data), packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
        return self.out(self.lstm(embedded)[0].data)


kind = torch.randint(0, 3, (40,))


def sentences(count):
    words = [torch.randint(0, 40, (int(n),)) for n in torch.randint(4, 14, (count,))]
    tags = []
    for w in words:
        k = kind[w].clone()
        k[1:] = torch.where((kind[w][:-1] == 2) & (k[1:] == 1), 3, k[1:])
        tags.append(k)
    return pack_sequence(words, enforce_sorted=False), pack_sequence(tags, enforce_sorted=False)


model = Tagger()
optimizer = torch.optim.NAdam(model.parameters(), lr=1e-2)
scheduler = torch.optim.lr_scheduler.SequentialLR(
    optimizer,
    [torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, 40), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 80)],
    milestones=[40],
)
losses = []
for step in range(110):
    optimizer.zero_grad()
    for _ in range(4):
        words, tags = sentences(6)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(words)
        loss = nn.functional.cross_entropy(logits.float(), tags.data)
        (loss / 4).backward()
        losses.append(loss.item())
    optimizer.step()
    scheduler.step()
    if step % 20 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-40:]) / 40)
