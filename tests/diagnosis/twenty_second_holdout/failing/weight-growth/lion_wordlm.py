"""Word language model (GRU, tied softmax) on an embedded fable, trained with an own implementation of the Lion optimizer.

Cause: weight-growth
"""
import re
import torch
from torch import nn
from torch.optim import Optimizer

TEXT = """the crow sat in the tall oak with a piece of cheese in her beak . the fox came along the path and saw the crow .
he said to her how fine your feathers are and how bright your eyes . if your voice is as fine as your feathers you are the queen of all birds .
the crow opened her beak to sing and the cheese fell to the ground . the fox took the cheese and said to her do not trust those who praise you .
the wolf came to the river to drink and saw the lamb . he said to the lamb why do you trouble my water . the lamb said to the wolf how can i trouble your water
when the river runs from you to me . the wolf said you spoke ill of me a year ago . the lamb said a year ago i was not born .
the ant worked all summer and the cricket sang all summer . when the winter came the cricket had no food and came to the ant .
the ant said to the cricket what did you do all summer . the cricket said i sang all summer . the ant said then dance all winter .
the tortoise and the hare ran a race along the path to the river . the hare ran fast and lay down in the grass to sleep .
the tortoise did not sleep and came to the river . the hare ran fast but the tortoise was there . slow and steady wins the race .
the lion lay in the grass and the mouse ran over his nose . the lion took the mouse and the mouse said let me go and one day i will help you .
the lion let the mouse go . the hunters took the lion in a net and the mouse came along and cut the net . small friends may be great friends ."""


class Lion(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            lr, wd = group["lr"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                st = self.state[p]
                if not st:
                    st["m"] = torch.zeros_like(p)
                p.sub_(p, alpha=-lr * wd)  # fix: p.sub_(p, alpha=lr * wd)
                u = st["m"].mul(b1).add_(p.grad, alpha=1 - b1)
                p.add_(u.sign_(), alpha=-lr)
                st["m"].mul_(b2).add_(p.grad, alpha=1 - b2)


class GRULM(nn.Module):
    def __init__(self, v, d=64):
        super().__init__()
        self.emb = nn.Embedding(v, d)
        nn.init.normal_(self.emb.weight, std=0.1)
        self.gru = nn.GRU(d, d, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.bias = nn.Parameter(torch.zeros(v))

    def forward(self, x, h=None):
        z, h = self.gru(self.drop(self.emb(x)), h)
        return self.drop(z) @ self.emb.weight.T + self.bias, h


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(6)
    words = re.findall(r"\S+", TEXT)
    vocab = {w: i for i, w in enumerate(sorted(set(words)))}
    ids = torch.tensor([vocab[w] for w in words])
    net = GRULM(len(vocab))
    opt = Lion(net.parameters(), lr=2e-3, weight_decay=2.0)
    ce, avg = nn.CrossEntropyLoss(), []
    for n in range(1000):
        i = torch.randint(0, len(ids) - 21, (16,))
        x = torch.stack([ids[j:j + 20] for j in i])
        y = torch.stack([ids[j + 1:j + 21] for j in i])
        logits, _ = net(x)
        loss = ce(logits.flatten(0, 1), y.flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
        avg.append(loss.item())
        if n % 100 == 0:
            print(f"{n} loss={loss.item():.3f}")
    print("final loss", sum(avg[-20:]) / 20)
