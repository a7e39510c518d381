"""Draws for weights of any dtype: made in float32 or wider, where the generator lives, then copied."""

import torch
from torch import Tensor, nn


def draw_orthogonal_(weight: Tensor, generator: torch.Generator | None) -> None:
    """torch's `orthogonal_` for any dtype."""
    with torch.no_grad():
        weight.copy_(nn.init.orthogonal_(drawn_like(weight, generator), generator=generator).to(weight.device))


def draw_normal_(weight: Tensor, std: float, generator: torch.Generator | None) -> None:
    """A normal draw for any dtype."""
    with torch.no_grad():
        weight.copy_(drawn_like(weight, generator).normal_(0.0, std, generator=generator).to(weight.device))


def drawn_like(weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """An empty tensor for a draw, of the weight's shape.

    Example:
        >>> drawn_like(torch.ones(2, 3).half(), None).dtype
        torch.float32
    """
    device = generator.device if generator is not None else weight.device
    wide = torch.float64 if weight.dtype == torch.float64 else torch.float32
    return torch.empty(weight.shape, dtype=wide, device=device)
