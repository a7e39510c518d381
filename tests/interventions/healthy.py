"""Small healthy trainings of every kind that a remedy may meet: it has to leave each of them alive."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..trainings import ARCHITECTURES

STEPS = 6


class Attentive(nn.Module):
    """A small transformer around torch's own attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        h = self.embed(x)
        return self.head(self.norm(h + self.attention(h, h, h, attn_mask=mask)[0]).mean(1))


class Named(dict):
    """A batch whose tensors are attributes too, as tokenizers make them."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class OfNamed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, batch: Named) -> Tensor:
        return self.body(batch.values_).mean(1)


def series(rows: int = 16) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 10, 4)
    return x, 0.3 * x[:, :, 0].sum(1, keepdim=True)


class Left:
    """What a training leaves behind: its losses, its weights, and what it was made of."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.weights: list[Tensor] = []
        self.modules: list[nn.Module] = []
        self.optimizers: list[torch.optim.Optimizer] = []

    def of(self, *things: Any) -> None:
        self.modules += [each for each in things if isinstance(each, nn.Module)]
        self.optimizers += [each for each in things if isinstance(each, torch.optim.Optimizer)]
        self.weights += [p for each in things if isinstance(each, nn.Module) for p in each.parameters()]


def plain(model: nn.Module, make: Callable[[Any], torch.optim.Optimizer], left: Left) -> None:
    optimizer = make(model.parameters())
    left.of(model, optimizer)
    for _ in range(STEPS):
        x, y = series()
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        left.losses.append(float(loss.detach()))


def mlp(left: Left) -> None:
    plain(ARCHITECTURES["mlp"](), lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9), left)


def lstm(left: Left) -> None:
    plain(ARCHITECTURES["lstm"](), lambda p: torch.optim.Adam(p, lr=3e-3), left)


def transformer(left: Left) -> None:
    plain(ARCHITECTURES["transformer"](), lambda p: torch.optim.AdamW(p, lr=3e-3), left)


def conv(left: Left) -> None:
    plain(ARCHITECTURES["conv"](), lambda p: torch.optim.RMSprop(p, lr=1e-3), left)


def masked_attention(left: Left) -> None:
    """With a causal mask of minus infinity, and clipped gradients."""
    model = Attentive()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    left.of(model, optimizer)
    mask = torch.full((10, 10), -math.inf).triu(1)
    for _ in range(STEPS):
        x, y = series()
        loss = nn.functional.smooth_l1_loss(model(x, mask=mask), y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        left.losses.append(float(loss.detach()))


def lbfgs(left: Left) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    left.of(model, optimizer)
    x = torch.randn(32, 4)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(x) - x[:, :1]).square().mean()
        loss.backward()
        return loss

    for _ in range(STEPS):
        left.losses.append(float(optimizer.step(closure).detach()))


def raw_weights() -> list[Tensor]:
    return [(torch.randn(4, 8) / 2).requires_grad_(), (torch.randn(8, 1) / 3).requires_grad_()]


def by_hand(left: Left) -> None:
    weights = raw_weights()
    left.weights = weights
    for _ in range(STEPS):
        x = torch.randn(16, 4)
        loss = (torch.tanh(x @ weights[0]) @ weights[1] - x[:, :1]).square().mean()
        loss.backward()
        with torch.no_grad():
            for p in weights:
                p -= 0.05 * p.grad
                p.grad = None
        left.losses.append(float(loss.detach()))


def autograd_grad(left: Left) -> None:
    weights = raw_weights()
    left.weights = weights
    for _ in range(STEPS):
        x = torch.randn(16, 4)
        loss = nn.functional.mse_loss(torch.tanh(x @ weights[0]) @ weights[1], x[:, :1], reduction="sum")
        grads = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            for p, grad in zip(weights, grads, strict=True):
                p -= 0.003 * grad
        left.losses.append(float(loss.detach()))


def fresh_leaves(left: Left) -> None:
    """As people write it who come from other libraries: new tensors after each step."""
    weights = raw_weights()
    for _ in range(STEPS):
        x = torch.randn(16, 4)
        loss = (torch.tanh(x @ weights[0]) @ weights[1] - x[:, :1]).square().mean()
        grads = torch.autograd.grad(loss, weights)
        weights = [(p - 0.05 * grad).detach().requires_grad_() for p, grad in zip(weights, grads, strict=True)]
        left.losses.append(float(loss.detach()))
    left.weights = weights


def mixed(dtype: torch.dtype) -> Callable[[Left], None]:
    def run(left: Left) -> None:
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        left.of(model, optimizer)
        for _ in range(STEPS):
            x = torch.randn(16, 4)
            with torch.autocast("cpu", dtype=dtype):
                loss = (model(x) - x[:, :1]).float().square().mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            left.losses.append(float(loss.detach()))

    return run


def accumulated(left: Left) -> None:
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    left.of(model, optimizer)
    for step in range(2 * STEPS):
        x = torch.randn(16, 4)
        loss = (model(x) - x[:, :1]).square().mean()
        (loss / 2).backward()
        if step % 2:
            optimizer.step()
            optimizer.zero_grad()
        left.losses.append(float(loss.detach()))


def gan(left: Left) -> None:
    maker = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 2))
    judge = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
    makers = torch.optim.Adam(maker.parameters(), lr=1e-3, betas=(0.5, 0.999))
    judges = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))
    left.of(maker, judge, makers, judges)
    says = nn.functional.binary_cross_entropy_with_logits
    for _ in range(STEPS):
        real, fake = torch.randn(16, 2) + 2, maker(torch.randn(16, 2))
        judges.zero_grad()
        loss = says(judge(real), torch.ones(16, 1)) + says(judge(fake.detach()), torch.zeros(16, 1))
        loss.backward()
        judges.step()
        makers.zero_grad()
        says(judge(fake), torch.ones(16, 1)).backward()
        makers.step()
        left.losses.append(float(loss.detach()))


def named_batches(left: Left) -> None:
    """Batches that are more than a dict, and lazy layers."""
    model = OfNamed()
    model.body[0] = nn.LazyLinear(8)
    model.body.insert(1, nn.LazyBatchNorm1d())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        x, y = series()
        loss = nn.functional.mse_loss(model(Named(values_=x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        left.losses.append(float(loss.detach()))
    left.of(model, optimizer)


def by_keyword(left: Left) -> None:
    """Functions of torch called in the ways that few people call them."""
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    left.of(model, optimizer)
    for _ in range(STEPS):
        x = torch.randn(8, 4)
        found = torch.full((8, 2), math.nan)
        for row, each in enumerate(x):
            found[row] = model(input=each)
        loss = torch.div(torch.pow(found, exponent=2).sum(), other=torch.tensor(16.0))
        loss = loss + nn.functional.l1_loss(input=found, target=x[:, :2]) + torch.clamp(found, min=0).mean()
        loss = loss + torch.nn.functional.scaled_dot_product_attention(query=found, key=found, value=found).mean()
        optimizer.zero_grad()
        torch.autograd.backward([loss])
        optimizer.step()
        left.losses.append(float(loss.detach()))


HEALTHY: dict[str, Callable[[Left], None]] = {
    "mlp": mlp,
    "lstm": lstm,
    "transformer": transformer,
    "conv": conv,
    "masked-attention": masked_attention,
    "lbfgs": lbfgs,
    "by-hand": by_hand,
    "autograd-grad": autograd_grad,
    "fresh-leaves": fresh_leaves,
    "bfloat16": mixed(torch.bfloat16),
    "float16": mixed(torch.float16),
    "accumulated": accumulated,
    "gan": gan,
    "named-batches": named_batches,
    "by-keyword": by_keyword,
}


def train(name: str) -> Left:
    """One of them, from its seed."""
    torch.manual_seed(0)
    left = Left()
    HEALTHY[name](left)
    return left


def hooks_of(modules: list[nn.Module]) -> Iterator[Any]:
    for each in (part for module in modules for part in module.modules()):
        yield from (each._forward_hooks, each._forward_pre_hooks, each._backward_hooks, each._backward_pre_hooks)
