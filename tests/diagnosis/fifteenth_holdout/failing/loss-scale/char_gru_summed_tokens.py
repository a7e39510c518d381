"""A character GRU language model learns a page about keeping bees.

Cause: loss-scale
Fails: the loss is summed over every character of the batch, SGD steps are a thousand times too long and the loss flies off
"""
import torch
from torch import nn

PAGE = """The keeper opens the hive on a warm morning in late spring, when most of the older bees
are out among the clover. She works slowly, because a sudden movement alarms the guards, and she
breathes through her nose, because the bees do not like the smell of breath. Each frame comes out
with a crack where the wax has glued it down. She looks first for eggs, which stand like grains of
rice at the bottom of the cells, and then for the queen, who is longer than the others and walks as
if she had somewhere to be. If there are eggs the queen was here three days ago, and that is usually
enough. The keeper puts the frames back in their order, closes the lid, and writes the date on a
piece of slate. In summer the boxes grow heavy. She lifts them one by one from behind and guesses at
the weight of the honey, and leaves the bees enough to see them through the wet weeks that come."""

chars = sorted(set(PAGE))
data = torch.tensor([chars.index(c) for c in PAGE])


class CharGRU(nn.Module):
    def __init__(self, v, e=32, h=96):
        super().__init__()
        self.emb = nn.Embedding(v, e)
        self.gru = nn.GRU(e, h, batch_first=True)
        self.fc = nn.Linear(h, v)

    def forward(self, x):
        return self.fc(self.gru(self.emb(x))[0])


def main():
    torch.manual_seed(2)
    model = CharGRU(len(chars))
    criterion = nn.CrossEntropyLoss(reduction="sum")  # fix: criterion = nn.CrossEntropyLoss()
    opt = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    per_char = []
    for step in range(300):
        start = torch.randint(0, len(data) - 41, (24,))
        idx = start[:, None] + torch.arange(41)
        x, y = data[idx[:, :-1]], data[idx[:, 1:]]
        logits = model(x).transpose(1, 2)
        loss = criterion(logits, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            per_char.append(nn.functional.cross_entropy(logits, y).item())
        if step % 50 == 0:
            print(step, per_char[-1])
    print("final loss", sum(per_char[-20:]) / 20)


main()
