"""Every penalty, set up in one way: what the contract asks of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad import penalty


@dataclass(frozen=True)
class Kind:
    """`term(leaf)` is the penalty as a function of one tensor, `leaf(dtype)` such a tensor; `zero` is a term that is 0."""

    name: str
    function: Callable[..., Tensor]
    leaf: Callable[[torch.dtype], Tensor]
    term: Callable[[Tensor], Tensor]
    zero: Callable[[], Tensor]
    none: Callable[[], Tensor]


def matrix(*shape: int) -> Callable[[torch.dtype], Tensor]:
    return lambda dtype: torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def square(dtype: torch.dtype) -> Tensor:
    return matrix(6, 6)(torch.float32).div(6**0.5).to(dtype)


def elman(weight: Tensor) -> Callable[[Tensor, Any], Tensor]:
    return lambda state, _: torch.tanh(state @ weight.T)


def flossing(weight: Tensor) -> Tensor:
    start = torch.linspace(-1, 1, 6, dtype=weight.dtype, device=weight.device).view(1, 6)
    return penalty.gradient_flossing(elman(weight), [None] * 8, start, k=3)


def omega(weight: Tensor) -> Tensor:
    grads = torch.linspace(-1, 2, 60, dtype=weight.dtype, device=weight.device).view(5, 2, 6)
    return penalty.pascanu_omega_from(weight, grads, torch.full_like(grads, 0.7))


def identity_flossing() -> Tensor:
    eye = torch.eye(3, requires_grad=True)
    return penalty.gradient_flossing(lambda state, _: state @ eye, [None] * 5, torch.ones(1, 3), k=3)


def nothing() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.LayerNorm(3))


KINDS = [
    Kind(
        "l1", penalty.l1, matrix(4, 3), penalty.l1, lambda: penalty.l1(torch.zeros(2, 2)), lambda: penalty.l1(nothing())
    ),
    Kind(
        "l2", penalty.l2, matrix(4, 3), penalty.l2, lambda: penalty.l2(torch.zeros(2, 2)), lambda: penalty.l2(nothing())
    ),
    *(
        Kind(
            f"orthogonality {kind}",
            penalty.orthogonality,
            square,
            lambda weight, kind=kind: penalty.orthogonality(weight, kind, iterations=2000),
            lambda kind=kind: penalty.orthogonality(torch.eye(4).roll(1, 0), kind),
            lambda kind=kind: penalty.orthogonality(nothing(), kind),
        )
        for kind in ("soft", "double-soft", "srip")
    ),
    Kind(
        "spectral",
        penalty.spectral,
        square,
        lambda weight: penalty.spectral(weight, iterations=2000),
        lambda: penalty.spectral(torch.zeros(2, 2)),
        lambda: penalty.spectral(nothing()),
    ),
    Kind(
        "omega",
        penalty.pascanu_omega,
        square,
        omega,
        lambda: penalty.pascanu_omega_from(torch.eye(3), torch.randn(4, 2, 3), torch.ones(4, 2, 3)),
        lambda: penalty.pascanu_omega_from(torch.eye(3), torch.zeros(4, 2, 3), torch.ones(4, 2, 3)),
    ),
    Kind(
        "flossing",
        penalty.gradient_flossing,
        square,
        flossing,
        identity_flossing,
        identity_flossing,
    ),
    Kind(
        "z-loss",
        penalty.z_loss,
        matrix(5, 7),
        lambda logits: penalty.z_loss(logits, 1.0),
        lambda: penalty.z_loss(torch.full((3, 4), 0.25).log()),
        lambda: penalty.z_loss(torch.randn(3, 4), mask=torch.zeros(3, dtype=torch.bool)),
    ),
]
