"""A small transformer flags rare faulty logs: about one positive in a batch, often none."""
import torch
import torch.nn as nn


class LogNet(nn.Module):
    def __init__(self, vocab=30, d=24, length=12):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.pos = nn.Parameter(0.02 * torch.randn(length, d))
        block = nn.TransformerEncoderLayer(d, 2, 48, dropout=0.05, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(block, 1, enable_nested_tensor=False)
        self.out = nn.Linear(d, 1)

    def forward(self, t):
        return self.out(self.enc(self.tok(t) + self.pos).amax(1)).squeeze(-1)


def logs(n, rate=0.03):
    t = torch.randint(3, 30, (n, 12))
    y = torch.rand(n) < rate
    hint = torch.randint(0, 12, (n,))
    rows = torch.arange(n)[y]
    t[rows, hint[y]] = torch.randint(0, 3, (len(rows),))
    return t, y.float()


def main():
    torch.manual_seed(1)
    net = LogNet()
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    weight = torch.tensor(10.0)
    smooth = 0.9
    for step in range(1200):
        t, y = logs(32)
        loss = nn.functional.binary_cross_entropy_with_logits(net(t), y, pos_weight=weight)
        opt.zero_grad()
        loss.backward()
        opt.step()
        smooth += 0.01 * (loss.item() - smooth)
        if step % 150 == 0:
            print(step, smooth, "positives", int(y.sum()))
    print("final loss", smooth)


main()
