"""Translation with attention; teacher forcing is turned down from 1 to 0.2 while it trains, so the loss goes up again and
again on its way down (Adagrad)."""

import random

import torch
from torch import nn

random.seed(39)
torch.manual_seed(39)
WORDS, LENGTH = 14, 6
dictionary = torch.randperm(WORDS)


class Translator(nn.Module):
    def __init__(self, width=40):
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, width), nn.Embedding(WORDS + 1, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.decoder = nn.GRUCell(2 * width, width)
        self.attention = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(2 * width, WORDS)

    def forward(self, source, target, forcing):
        states, last = self.encoder(self.source(source))
        h, word = last[0], torch.full((len(source),), WORDS)
        context = states.mean(1)
        logits = []
        for t in range(target.shape[1]):
            h = self.decoder(torch.cat([self.target(word), context], 1), h)
            weight = torch.softmax((states @ self.attention(h).unsqueeze(-1)).squeeze(-1) / 40**0.5, 1)
            context = (weight.unsqueeze(1) @ states).squeeze(1)
            logits.append(self.out(torch.cat([h, context], 1)))
            word = target[:, t] if random.random() < forcing else logits[-1].argmax(1)
        return torch.stack(logits, 1)


model = Translator()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
losses = []
for step in range(350):
    source = torch.randint(0, WORDS, (24, LENGTH))
    target = dictionary[source].view(24, LENGTH // 2, 2).flip(2).flatten(1)
    forcing = 1.0 - 0.8 * min(1.0, step / 250)
    loss = nn.functional.cross_entropy(model(source, target, forcing).flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, f"forcing {forcing:.2f} loss {losses[-1]:.4f}")
print("final loss", sum(losses[-20:]) / 20)
