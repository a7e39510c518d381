"""What the factories share: optimizers by name, and ways to fill weights."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

MakeOptimizer = Callable[[Any], torch.optim.Optimizer] | None
Fill = Callable[[Tensor], object]


def adam(lr: float = 1e-3) -> MakeOptimizer:
    return lambda params: torch.optim.Adam(params, lr=lr)


def adamw(lr: float = 1e-3) -> MakeOptimizer:
    return lambda params: torch.optim.AdamW(params, lr=lr)


def sgd(lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> MakeOptimizer:
    return lambda params: torch.optim.SGD(params, lr=lr, momentum=momentum, weight_decay=weight_decay)


def of(model: nn.Module, make: MakeOptimizer) -> torch.optim.Optimizer | None:
    """The optimizer of a model's trainable parameters, if one is wanted."""
    return make([p for p in model.parameters() if p.requires_grad]) if make else None


def layers(model: nn.Module, kinds: type | tuple[type, ...] = nn.Linear) -> Iterator[Any]:
    return (module for module in model.modules() if isinstance(module, kinds))


def fill(modules: Iterable[Any], init: Fill | None) -> None:
    """Pass every weight to `init`, and set the biases to zero. None: leave torch's own."""
    for module in modules if init else ():
        init(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def he(weight: Tensor) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def normal(std: float) -> Fill:
    return lambda weight: nn.init.normal_(weight, std=std)


def constant(value: float) -> Fill:
    return lambda weight: nn.init.constant_(weight, value)


def scaled(init: Fill, factor: float) -> Fill:
    def apply(weight: Tensor) -> None:
        init(weight)
        with torch.no_grad():
            weight.mul_(factor)

    return apply
