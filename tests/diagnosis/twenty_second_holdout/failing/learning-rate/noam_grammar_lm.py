"""Word-level transformer language model (post-norm, as in the original paper) on sentences of a toy grammar.

Cause: learning-rate
"""
import math, random
import torch, torch.nn as nn

torch.set_num_threads(1)
random.seed(0); torch.manual_seed(0)

DET = ["the", "a", "every", "no"]; ADJ = ["old", "green", "small", "angry", "quiet"]
N = ["dog", "ship", "judge", "garden", "teacher", "river"]; V = ["sees", "follows", "hates", "draws"]
VI = ["sleeps", "waits", "sings"]; CONJ = ["and", "but", "while"]

def np_():
    w = [random.choice(DET)]
    if random.random() < .4: w.append(random.choice(ADJ))
    return w + [random.choice(N)]
def sent():
    w = np_()
    w += [random.choice(VI)] if random.random() < .4 else [random.choice(V)] + np_()
    if random.random() < .3: w += [random.choice(CONJ)] + sent()[:-1]
    return w + ["."]

words = []
while len(words) < 30000: words += sent()
vocab = sorted(set(words)); stoi = {w: i for i, w in enumerate(vocab)}
data = torch.tensor([stoi[w] for w in words])

D, CTX, BS, WARM = 64, 32, 12, 100

class LM(nn.Module):
    def __init__(s):
        super().__init__()
        s.e = nn.Embedding(len(vocab), D)
        s.p = nn.Parameter(torch.randn(CTX, D) * .02)
        layer = nn.TransformerEncoderLayer(D, 4, 128, dropout=.1, batch_first=True)
        s.t = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        s.o = nn.Linear(D, len(vocab))
        s.register_buffer("m", nn.Transformer.generate_square_subsequent_mask(CTX))
    def forward(s, x):
        return s.o(s.t(s.e(x) + s.p, mask=s.m))

net = LM()
opt = torch.optim.Adam(net.parameters(), lr=0.4, betas=(0.9, 0.98), eps=1e-9)
def noam(k):
    k = k + 1
    return D ** -0.5 * max(k ** -0.5, k * WARM ** -1.5)  # fix: return D ** -0.5 * min(k ** -0.5, k * WARM ** -1.5)
sched = torch.optim.lr_scheduler.LambdaLR(opt, noam)
hist = []
for it in range(320):
    i = torch.randint(0, len(data) - CTX - 1, (BS,))
    x = torch.stack([data[j:j + CTX] for j in i]); y = torch.stack([data[j + 1:j + CTX + 1] for j in i])
    loss = nn.functional.cross_entropy(net(x).flatten(0, 1), y.flatten())
    opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    hist.append(loss.item())
    if it % 50 == 0: print(f"{it}: {loss.item():.3f}  ppl {math.exp(min(20, loss.item())):.1f}")
print("final loss", sum(hist[-20:]) / 20)
