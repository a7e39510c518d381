"""A masked-token transformer on periodic token strings, with an optimizer in the style of the first BERT code.

Cause: stale-second-moment
Fails: the loss jumps in the first steps and stays at 2.77, the level of guessing
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class BertAdam(torch.optim.Optimizer):
    """Adam as in the first release: the moments enter the update as they are."""

    def __init__(self, params: Iterable[Tensor], lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-6):
        super().__init__(params, {"lr": lr, "b1": b1, "b2": b2, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["b1"], group["b2"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    state["m"] = torch.zeros_like(p)
                    state["v"] = torch.zeros_like(p)
                state["step"] += 1
                state["m"].lerp_(p.grad, 1 - b1)
                state["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                update = state["m"] / (state["v"].sqrt() + group["eps"])
                # fix: update = update * (1 - b2 ** state["step"]) ** 0.5 / (1 - b1 ** state["step"])
                p.sub_(update, alpha=group["lr"])


class MaskedModel(nn.Module):
    def __init__(self, vocab: int = 16, width: int = 32, length: int = 12):
        super().__init__()
        self.embed = nn.Embedding(vocab + 1, width)
        self.place = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 64, dropout=0.0, activation="gelu", batch_first=True) for _ in range(2)
        )
        self.to_vocab = nn.Linear(width, vocab)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.place.weight
        for block in self.blocks:
            x = block(x)
        return self.to_vocab(x)


def make_batch(size: int = 32, length: int = 12, vocab: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    motif = torch.randint(0, vocab, (size, 3))
    ids = motif.repeat(1, length // 3)
    hidden = torch.rand(size, length) < 0.2
    hidden[:, 0] = True
    return ids.masked_fill(hidden, vocab), ids, hidden


def train(steps: int = 350) -> list[float]:
    model = MaskedModel()
    optimizer = BertAdam(model.parameters(), lr=2e-3, b2=0.99999)
    losses = []
    for _ in range(steps):
        given, ids, hidden = make_batch()
        loss = nn.functional.cross_entropy(model(given)[hidden], ids[hidden])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    torch.manual_seed(123)
    losses = train()
    print("final loss", sum(losses[-10:]) / 10)
