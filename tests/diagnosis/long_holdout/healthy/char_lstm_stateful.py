"""Character-level LSTM on generated prose, hidden state carried across chunks (truncated BPTT)."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(3); torch.manual_seed(3)

# --- make a corpus -----------------------------------------------------------------
nouns = "king queen ship storm river lantern market soldier monk garden winter bridge".split()
verbs = "saw followed loved feared carried forgot painted burned guarded sold".split()
adjs = "old silver quiet broken distant hungry golden bitter".split()
names = ["Anselm", "Brida", "Corvin", "Dorthe", "Ewald"]

def sentence():
    r = random.random()
    if r < .5:
        return f"The {random.choice(adjs)} {random.choice(nouns)} {random.choice(verbs)} the {random.choice(nouns)}. "
    if r < .8:
        return f"{random.choice(names)} {random.choice(verbs)} {random.choice(names)} in {random.randint(1400, 1499)}. "
    if r < .97:
        return f"\"Who {random.choice(verbs)} my {random.choice(nouns)}?\" asked {random.choice(names)}.\n"
    return "CHAPTER %s\n\n" % random.choice(["I", "II", "III", "IV", "V", "VI"])

text = "".join(sentence() for _ in range(9000))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
split = int(.93 * len(data))
train, valid = data[:split], data[split:]

B, T = 16, 24
def batchify(x):
    n = len(x) // B
    return x[: n * B].view(B, n)
train, valid = batchify(train), batchify(valid)

class CharLSTM(nn.Module):
    def __init__(self, V, E=24, H=64):
        super().__init__()
        self.emb = nn.Embedding(V, E)
        self.rnn = nn.LSTM(E, H, batch_first=True)
        self.drop = nn.Dropout(.1)
        self.out = nn.Linear(H, V)
    def forward(self, x, st):
        h, st = self.rnn(self.emb(x), st)
        return self.out(self.drop(h)), st

model = CharLSTM(len(chars))
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
total = 6000
step, epoch, tail = 0, 0, []

def evaluate():
    model.eval(); st = None; tot = n = 0
    with torch.no_grad():
        for i in range(0, valid.size(1) - T - 1, T):
            lg, st = model(valid[:, i:i+T], st)
            tot += F.cross_entropy(lg.flatten(0, 1), valid[:, i+1:i+T+1].flatten()).item(); n += 1
    model.train()
    return tot / n

while step < total:
    state = None          # fresh state at the start of each pass through the book
    for i in range(0, train.size(1) - T - 1, T):
        x, y = train[:, i:i+T], train[:, i+1:i+T+1]
        if state is not None:
            state = tuple(s.detach() for s in state)
        logits, state = model(x, state)
        loss = F.cross_entropy(logits.reshape(-1, logits.size(-1)), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 500 == 0:
            print(f"step {step} epoch {epoch} loss {loss.item():.4f}")
        if step >= total - 200: tail.append(loss.item())
        step += 1
        if step >= total: break
    epoch += 1
    for g in opt.param_groups: g["lr"] *= .85
    print(f"-- epoch {epoch} valid {evaluate():.4f}")
print(f"final loss {sum(tail)/len(tail):.4f}")
