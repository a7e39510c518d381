"""Which speaker opened the dialogue: LSTM must carry the first symbol over 50 steps of chatter.

Cause: vanishing-recurrent
Fails: the forget-gate bias is set to -3 (sign slip), the cell forgets within a few steps; loss stays at ln 4 = 1.386
"""
import argparse
import torch
import torch.nn as nn


def init_lstm(lstm, forget_bias):
    for name, p in lstm.named_parameters():
        if "bias" in name:
            n = p.numel() // 4
            p.data.zero_()
            if "bias_ih" in name:
                p.data[n:2 * n] = forget_bias
        elif "weight_hh" in name:
            nn.init.orthogonal_(p)


class Opener(nn.Module):
    def __init__(self, vocab, classes, forget_bias):
        super().__init__()
        self.embed = nn.Embedding(vocab, 24)
        self.lstm = nn.LSTM(24, 48, batch_first=True)
        init_lstm(self.lstm, forget_bias)
        self.fc = nn.Linear(48, classes)

    def forward(self, x):
        _, (h, c) = self.lstm(self.embed(x))
        return self.fc(h[-1])


def get_batch(bs, T, g):
    y = torch.randint(4, (bs,), generator=g)
    x = torch.randint(4, 20, (bs, T), generator=g)
    x[:, 0] = y
    return x, y


def evaluate(model, args):
    g = torch.Generator().manual_seed(555)
    model.eval()
    with torch.no_grad():
        x, y = get_batch(512, args.T, g)
        out = model(x)
        val = nn.functional.cross_entropy(out, y).item()
        acc = (out.argmax(1) == y).float().mean().item()
    model.train()
    return val, acc


def main(args):
    torch.manual_seed(args.seed)
    g = torch.Generator().manual_seed(args.seed + 1)
    model = Opener(20, 4, forget_bias=-3.0)  # fix: model = Opener(20, 4, forget_bias=3.0)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    for step in range(1, args.steps + 1):
        x, y = get_batch(args.bs, args.T, g)
        loss = nn.functional.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        if step % 100 == 0:
            v, acc = evaluate(model, args)
            print(f"step {step} train {loss.item():.4f} val {v:.4f} acc {acc:.3f}")
    print("final loss", evaluate(model, args)[0])


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--T", type=int, default=50)
    p.add_argument("--bs", type=int, default=32)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--steps", type=int, default=700)
    p.add_argument("--seed", type=int, default=6)
    main(p.parse_args())
