"""An encoder-decoder of GRU cells repeats a short word after a long silence.

Cause: vanishing-recurrent
Fails: stays at 1.61
"""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(13)
LETTERS, WORD, SILENCE = 5, 3, 35
BLANK = LETTERS
UPDATE_BIAS = -2.0  # fix: UPDATE_BIAS = 4.0


class Echo(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.embed = nn.Embedding(LETTERS + 1, 16)
        self.encoder = nn.GRU(16, hidden, batch_first=True)
        self.decoder = nn.GRUCell(16, hidden)
        self.letter = nn.Linear(hidden, LETTERS)
        with torch.no_grad():
            self.encoder.bias_hh_l0[hidden : 2 * hidden].fill_(UPDATE_BIAS)

    def forward(self, heard, word):
        _, state = self.encoder(self.embed(heard))
        state = state[0]
        previous = torch.full_like(word[:, 0], BLANK)
        logits = []
        for i in range(WORD):
            state = self.decoder(self.embed(previous), state)
            logits.append(self.letter(state))
            previous = word[:, i]
        return torch.stack(logits, 1)


words = torch.randint(0, LETTERS, (1200, WORD))
heard = torch.cat([words, torch.full((1200, SILENCE), BLANK)], 1)
loader = DataLoader(TensorDataset(heard, words), batch_size=40, shuffle=True)
model = Echo()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
record = []
for epoch in range(8):
    for h, w in loader:
        loss = nn.functional.cross_entropy(model(h, w).flatten(0, 1), w.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        record.append(loss.item())
    print(epoch, record[-1])
print("final loss", sum(record[-10:]) / 10)
