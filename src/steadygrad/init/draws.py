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


def is_computed_from(model: nn.Module, name: str) -> bool:
    """Whether a parameter is not a weight itself but one is computed of it, by a parametrisation new or old."""
    owner = model.get_submodule(name.rpartition(".")[0])
    old = any(type(hook).__name__ in ("WeightNorm", "SpectralNorm") for hook in owner._forward_pre_hooks.values())
    return "parametrizations." in name or old


def drawn_like(weight: Tensor, generator: torch.Generator | None) -> Tensor:
    """An empty tensor for a draw, of the weight's shape.

    Example:
        >>> drawn_like(torch.ones(2, 3).half(), None).dtype
        torch.float32
    """
    device = generator.device if generator is not None else weight.device
    wide = torch.float64 if weight.dtype == torch.float64 else torch.float32
    return torch.empty(weight.shape, dtype=wide, device=device)
