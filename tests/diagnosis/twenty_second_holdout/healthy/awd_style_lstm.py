"""Char LSTM with stateful truncated BPTT, SGD at lr 20 with the script's own clipping at 0.25 (the old PyTorch word_language_model recipe)."""
import random
import torch
import torch.nn as nn

torch.set_num_threads(1)
torch.manual_seed(1111)
random.seed(1111)

subj = "sailor,baker,queen,old man,sparrow,clerk".split(",")
verb = "remembers,paints,forgets,carries,sells".split(",")
obj = "the harbour,a red coat,the letters,an empty box,the winter".split(",")
corpus = ". ".join(f"the {random.choice(subj)} {random.choice(verb)} {random.choice(obj)}" for _ in range(1600))
chars = sorted(set(corpus))
ids = torch.tensor([chars.index(c) for c in corpus])


def batchify(x, bsz):
    n = x.numel() // bsz
    return x[:n * bsz].view(bsz, -1).t().contiguous()


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp=48, nhid=96):
        super().__init__()
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid)
        self.decoder = nn.Linear(nhid, ntoken)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, x, hidden):
        out, hidden = self.rnn(self.drop(self.encoder(x)), hidden)
        return self.decoder(self.drop(out)), hidden


train = batchify(ids, 20)
BPTT, lr, CLIP = 35, 20.0, 0.25
model = RNNModel(len(chars))
losses = []
for epoch in range(5):
    hidden = None
    for b, i in enumerate(range(0, train.size(0) - 1, BPTT)):
        n = min(BPTT, len(train) - 1 - i)
        x, y = train[i:i + n], train[i + 1:i + 1 + n]
        if hidden is not None:
            hidden = tuple(h.detach() for h in hidden)
        model.zero_grad()
        out, hidden = model(x, hidden)
        loss = nn.functional.cross_entropy(out.flatten(0, 1), y.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(p.grad, alpha=-lr)
        losses.append(loss.item())
        if b % 30 == 0:
            print(f"| epoch {epoch} | batch {b:3d} | lr {lr:.2f} | loss {loss.item():.3f}")
    if epoch >= 2:
        lr /= 4.0
print("final loss", sum(losses[-20:]) / 20)
