"""torch's own functions, with the same signatures and results, that do not break where torch's do."""

import math
import sys
import types
import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from .._names import find_roots, name_parameters
from .._readback import any_nonfinite, read_tensor_scalar
from ..measure import tensor_stats
from .arguments import threshold
from .by_norm import one_at_most
from .gradients import Gradients

MOST_NAMED = 5
"""How many parameters an error names."""


@torch.no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    r"""Scale gradients to a norm of at most `max_norm`, as `torch.nn.utils.clip_grad_norm_` does.

    .. math:: g \leftarrow g \cdot \min(1, c / (\|g\|_p + 10^{-6}))

    What is different: norms are accumulated in float32 or wider; finite gradients whose squares overflow keep their
    direction (torch sets them to zero); gradients that are not finite stay as they are (torch makes NaN of all others
    too); the error names the parameters. It reads nothing from an accelerator unless `error_if_nonfinite`.

    Args:
        parameters: a tensor or an iterable of tensors, whose gradients are scaled; those without one are passed over.
        max_norm: c; `inf` only measures.
        norm_type: p; `inf` for the largest element.
        error_if_nonfinite: raise when the norm is not finite.
        foreach: taken for compatibility; there is one implementation.

    Returns:
        The norm before clipping, 0-d, on the first gradient's device; 0 when there are no gradients.

    Raises:
        ValueError: `max_norm` or `norm_type` is not positive.
        RuntimeError: the norm is not finite and `error_if_nonfinite`; the message names the parameters.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> clip_grad_norm_([weight], 1.0).item()
        5.0

    References:
        Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.
    """
    threshold("max_norm", float(max_norm))
    threshold("norm_type", float(norm_type))
    params = _listed(parameters)
    gradients = Gradients(params) if params else None
    if gradients is None or not gradients.grads:
        return torch.tensor(0.0)
    norm = gradients.p_norm(float(norm_type))
    if error_if_nonfinite:
        _raise_if_nonfinite(norm, norm_type, gradients.grads, gradients.params)
    if math.isfinite(max_norm):
        gradients.scale_(one_at_most(norm + 1e-6, float(max_norm)))
        gradients.flush()
    return norm.to(_result_dtype(gradients.grads))


@torch.no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    r"""Clamp every element of the gradients to :math:`[-v, v]`, as `torch.nn.utils.clip_grad_value_` does.

    Args:
        parameters: a tensor or an iterable of tensors.
        clip_value: v.
        foreach: taken for compatibility; there is one implementation.

    Raises:
        ValueError: `clip_value` is not positive.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, -0.5])
        >>> clip_grad_value_([weight], 1.0)
        >>> weight.grad.tolist()
        [1.0, -0.5]
    """
    value = threshold("clip_value", float(clip_value))
    params = _listed(parameters)
    if params:
        for values in Gradients(params).edit():
            values.clamp_(-value, value)


@torch.no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    r"""The norm of tensors as if they were one vector, as `torch.nn.utils.get_total_norm` gives it.

    Args:
        tensors: a tensor or an iterable of tensors (gradients, not parameters).
        norm_type: p; `inf` for the largest element.
        error_if_nonfinite: raise when the norm is not finite.
        foreach: taken for compatibility; there is one implementation.

    Returns:
        The norm, 0-d, on the first tensor's device; 0 when there are none.

    Raises:
        ValueError: `norm_type` is not positive.
        RuntimeError: the norm is not finite and `error_if_nonfinite`; the message names the tensors.

    Example:
        >>> get_total_norm([torch.tensor([3.0]), torch.tensor([4.0])]).item()
        5.0
    """
    threshold("norm_type", float(norm_type))
    every = _listed(tensors)
    if not every:
        return torch.tensor(0.0)
    carriers = [_Carrier(tensor) for tensor in every]
    norm = Gradients(carriers).p_norm(float(norm_type))  # type: ignore[arg-type]
    if error_if_nonfinite:
        _raise_if_nonfinite(norm, norm_type, every, [])
    return norm.to(_result_dtype(every))


class _Carrier:
    """Something that has a tensor for its gradient."""

    def __init__(self, grad: Tensor) -> None:
        self.grad = grad


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(tensors, Tensor):
        return [tensors]
    listed = list(tensors)
    if not listed and isinstance(tensors, types.GeneratorType):
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    return listed


def _result_dtype(tensors: Sequence[Tensor]) -> torch.dtype:
    return torch.float64 if any(tensor.abs().dtype == torch.float64 for tensor in tensors[:1]) else torch.float32


def _raise_if_nonfinite(norm: Tensor, norm_type: float, grads: Sequence[Tensor], params: Sequence[Tensor]) -> None:
    if not any_nonfinite([norm]):
        return
    counts = [int(read_tensor_scalar(tensor_stats([grad]).nonfinite_count) or 0) for grad in grads]
    names = [f"tensors[{place}]" for place in range(len(grads))]
    if params:
        names = name_parameters(params, find_roots(params), sys._getframe())
    told = [
        f"{name} {tuple(grad.shape)}: {count} of {grad.numel()}"
        for name, grad, count in zip(names, grads, counts, strict=True)
        if count
    ]
    more = f", and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    raise RuntimeError(
        f"The total norm of order {float(norm_type)} is non-finite, so it cannot be clipped. Elements that are NaN or "
        f"infinite: {'; '.join(told[:MOST_NAMED]) or 'none, the norm overflows'}{more}. "
        "Set `error_if_nonfinite=False` to go on all the same."
    )
