"""The spectral norm: as a penalty, and as torch's parametrisation."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrizations, parametrize

from ..measure import generic_directions
from .weights import Source, matrices_of, owners, total


def spectral(source: Source, *, iterations: int = 10) -> Tensor:
    r"""The sum of squared spectral norms, :math:`\sum_l \sigma_{\max}(W_l)^2`: holds the largest gain of each layer.

    The paper's term is :math:`\frac{\lambda}{2}` times this. The largest singular value is found by power iteration,
    from the same start at every call; where the largest ones lie close together it is found a little too small.

    Args:
        source: a module or the weights themselves, as `orthogonality` takes them. A convolution's is that of its kernel
            as a matrix, not of the map on images.
        iterations: of the power iteration; each costs two products of the weight with a vector.

    Returns:
        0-d, differentiable, float32 or float64; not finite where a weight is not. 0 of no parameters.

    Raises:
        ValueError: a tensor without two dimensions; `iterations` is less than 1.

    Example:
        >>> round(spectral(torch.diag(torch.tensor([3.0, 1.0]))).item(), 4)
        9.0

    References:
        Yoshida and Miyato, "Spectral norm regularization for improving the generalizability of deep learning", 2017.
    """
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}, expected at least 1")
    return total([_largest_square(batch, iterations) for batch in matrices_of(source)])


def spectral_norm_(
    model: nn.Module, layers: Iterable[str] | None = None, *, n_power_iterations: int = 1, eps: float = 1e-12
) -> list[str]:
    r"""Divide the weights of layers by their spectral norms, :math:`W / \sigma_{\max}(W)`, by torch's parametrisation.

    Parameters stay the same objects, so an optimizer that has them goes on. Undone by
    `torch.nn.utils.parametrize.remove_parametrizations(layer, "weight")`.

    Args:
        model: the model, changed in place.
        layers: names of the layers, as in `named_modules`; all linear layers and convolutions if None, but for those
            that share their weight with another layer, or have it already.
        n_power_iterations: as torch has it: one a forward in training mode.
        eps: as torch has it.

    Returns:
        The names of the layers that were changed.

    Raises:
        ValueError: there is no layer of a name, it has no weight of two dimensions, or it shares its weight.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
        >>> spectral_norm_(model, ["0"])
        ['0']
        >>> [name for name, _ in model.named_parameters()]
        ['0.bias', '0.parametrizations.weight.original', '2.weight', '2.bias']

    References:
        Miyato et al., "Spectral normalization for generative adversarial networks", 2018.
    """
    modules = dict(model.named_modules())
    holders: dict[Tensor, int] = {}
    for _, _, param in owners(model):
        holders[param] = holders.get(param, 0) + 1
    if layers is None:
        chosen = [
            name
            for name, module in modules.items()
            if isinstance(module, (nn.Linear, _ConvNd))
            and not parametrize.is_parametrized(module, "weight")
            and holders.get(module.weight) == 1
        ]
    else:
        chosen = list(layers)
        for name in chosen:
            weight = getattr(modules.get(name), "weight", None)
            if not isinstance(weight, Tensor) or weight.ndim < 2:
                raise ValueError(f"there is no layer {name!r} with a weight of two or more dimensions")
            if holders.get(weight, 1) > 1:
                raise ValueError(f"layer {name!r} shares its weight with another: they would part")
    for name in chosen:
        parametrizations.spectral_norm(modules[name], "weight", n_power_iterations, eps)
    return chosen


def _largest_square(batch: Tensor, iterations: int) -> Tensor:
    with torch.no_grad():
        vector = generic_directions(batch.shape[2], 1, batch).expand(len(batch), -1, 1)
        for _ in range(iterations):
            vector = torch.nn.functional.normalize(batch.mT @ (batch @ vector), dim=1)
    # With the direction held this is the square's gradient too, at the end of the iteration.
    return (batch @ vector).square().sum()
