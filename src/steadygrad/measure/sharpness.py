"""Sharpness: the largest eigenvalue of the loss's Hessian, which says how long a step may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from .hessian import HessianProduct, Loss
from .lanczos import largest_eigenvalue


@dataclass(frozen=True)
class Sharpness:
    """A measured sharpness.

    `value` is a 0-d tensor on the first parameter's device, NaN where loss or derivatives are not finite. It is a lower
    bound that `iterations` products have brought within `relative_error` of an eigenvalue; `converged` says that this
    is within the tolerance, and False that iterations or time have run out before.
    """

    value: Tensor
    iterations: int
    relative_error: float
    converged: bool


def sharpness(
    loss: Loss,
    params: Sequence[Tensor],
    *,
    preconditioner: Sequence[Tensor] | None = None,
    iterations: int = 50,
    tolerance: float = 0.01,
    seconds: float | None = None,
    generator: torch.Generator | None = None,
) -> Sharpness:
    r"""The largest (algebraic) eigenvalue of the Hessian, or of the preconditioned Hessian.

    .. math:: \lambda_1\left( D^{-1/2}\, \frac{\partial^2 L}{\partial w^2}\, D^{-1/2} \right)

    Lanczos on products with the Hessian: the forward pass is made once, an iteration costs two to three gradients. The
    model's gradients, random numbers and the graph of a live loss are left as they are; a function that builds the loss
    may do what a forward pass does (BatchNorm in train mode counts a batch).

    Args:
        loss: a live scalar tensor, or a function without arguments that builds one. With a function, kernels are chosen
            that can be differentiated twice (attention's math kernel); a live loss must have been built with such.
        params: parameters, floating, dense; those without `requires_grad`, or not used by the loss, have no part in it.
        preconditioner: the diagonal :math:`D`, a positive tensor for each parameter that broadcasts to it; infinite
            where a parameter does not move. None: ones. See `preconditioner`.
        iterations: products with the Hessian at the most.
        tolerance: the relative error of the value at which the search ends.
        seconds: no product is begun that would probably end later than this; one is made in any case.
        generator: draws the start vector. By default one with a fixed seed: the same call gives the same value.

    Returns:
        The sharpness, with what it took.

    Raises:
        ValueError: the loss is no scalar that depends on the parameters, or the preconditioner does not fit them.
        NoSecondDerivative: an operation of the loss has no double backward; it is named.

    Example:
        >>> weight = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> found = sharpness(lambda: (weight * weight * torch.tensor([2.0, 0.5])).sum(), [weight])
        >>> round(found.value.item(), 4), found.converged
        (4.0, True)

    References:
        Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021.
    """
    return measured(HessianProduct(loss, params), preconditioner, iterations, tolerance, seconds, generator)


def measured(
    product: HessianProduct,
    preconditioner: Sequence[Tensor] | None,
    iterations: int,
    tolerance: float,
    seconds: float | None,
    generator: torch.Generator | None,
) -> Sharpness:
    """What `sharpness` does, with a product that is there already."""
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}, expected at least 1")
    params = product.params
    roots = _inverse_roots(params, preconditioner)
    device = params[0].device
    dtype = torch.float64 if any(param.dtype == torch.float64 for param in params) else torch.float32
    sizes = [param.numel() for param in params]

    def flat(tensors: Sequence[Tensor]) -> Tensor:
        # Scaled in the wide dtype: preconditioners of reduced precision would be lost in it.
        parts = [
            (each.to(dtype) if root is None else each.to(dtype) * root).reshape(-1).to(device)
            for each, root in zip(tensors, roots, strict=True)
        ]
        return torch.cat(parts)

    def apply(vector: Tensor) -> Tensor:
        parts = []
        for piece, param, root in zip(vector.split(sizes), params, roots, strict=True):
            shaped = piece.view(param.shape).to(param.device)
            parts.append((shaped if root is None else shaped * root).to(param.dtype))
        return flat(product(parts))

    if generator is None:
        generator = torch.Generator().manual_seed(0)
    start = torch.randn(sum(sizes), generator=generator, device=generator.device, dtype=dtype).to(device)
    # The gradient lies mostly in sharp directions: a search that is cut short is close already. The random part finds
    # those in which it does not lie.
    gradient = flat(product.gradients)
    start = _unit(start) + _unit(gradient).nan_to_num_(0.0, 0.0, 0.0)
    found = largest_eigenvalue(apply, start, iterations=iterations, tolerance=tolerance, seconds=seconds)
    value = torch.tensor(found.value, dtype=dtype, device=device)
    return Sharpness(value, found.iterations, found.relative_error, found.converged)


def _broadcasts(shape: torch.Size, target: torch.Size) -> bool:
    beside = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(size in (1, wanted) for size, wanted in beside)


def _unit(vector: Tensor) -> Tensor:
    return vector / torch.linalg.vector_norm(vector)


def _inverse_roots(params: Sequence[Tensor], preconditioner: Sequence[Tensor] | None) -> Sequence[Tensor | None]:
    if preconditioner is None:
        return [None] * len(params)
    if len(preconditioner) != len(params):
        raise ValueError(f"preconditioner has {len(preconditioner)} tensors for {len(params)} params")
    for place, (each, param) in enumerate(zip(preconditioner, params, strict=True)):
        if not _broadcasts(each.shape, param.shape):
            raise ValueError(
                f"preconditioner {place} has shape {tuple(each.shape)}, expected one that broadcasts to "
                f"{tuple(param.shape)}"
            )
    return [
        cast(Tensor, each.detach().to(param.device).rsqrt()) for each, param in zip(preconditioner, params, strict=True)
    ]
