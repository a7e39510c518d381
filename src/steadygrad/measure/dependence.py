"""At which time step of a sequence its target depends on what is read, whatever any model makes of it."""

import torch
from torch import Tensor

KINDS = 64
"""Most different tokens, or classes, that are told apart."""

FEWEST = 5
"""Samples that a token, or a class, must have in the batch: of fewer a coincidence is no surprise."""


def dependence_by_time(inputs: Tensor, target: Tensor) -> tuple[Tensor, int] | None:
    r"""The largest squared rank correlation of any entry of the inputs with any of the target, at each time step.

    .. math:: r^2_t = \max_{f,k} \operatorname{corr}(\operatorname{rank} x_{:,t,f}, \operatorname{rank} y_{:,k})^2

    Ranks, so that no single wild sample makes a correlation. Tokens and classes are taken one by one (is it this one?).
    It sees what one entry alone says about the target; what only several together say (an exclusive or) it does not.

    Args:
        inputs: (samples, time, features) or (samples, time), floating or whole numbers (tokens).
        target: (samples,) classes or numbers, or (samples, k) numbers.

    Returns:
        :math:`r^2` [time] as float64 on the device of the inputs, and of how many correlations it is the largest in
        all; None where there are more kinds of tokens or classes than are told apart.

    Example:
        >>> x = torch.randn(64, 5, 2, generator=torch.Generator().manual_seed(0))
        >>> squared, count = dependence_by_time(x, (x[:, 1, 0] > 0).long())
        >>> squared.argmax().item(), count
        (1, 10)

    References:
        Spearman, "The proof and measurement of association between two things", 1904.
    """
    given = _columns(inputs[:, :, None] if inputs.ndim == 2 else inputs)
    wanted = _columns(target.reshape(len(target), 1, -1).to(inputs.device))
    if given is None or wanted is None:
        return None
    products = torch.einsum("ntf,nk->tfk", given, wanted[:, 0]) / len(given)
    return products.square().flatten(1).amax(1), products.numel()


def _columns(values: Tensor) -> Tensor | None:
    """Entries (samples, time, columns) of mean 0 and variance 1 over the samples; what is constant is 0."""
    if values.is_floating_point():
        ranks = _ranks(values.double())
    else:
        kinds = values.unique()
        if len(kinds) > KINDS or values.shape[2] > 1:
            return None
        ranks = (values == (kinds[1:] if len(kinds) == 2 else kinds)).double()
        rarest = torch.minimum(ranks.sum(0), (1 - ranks).sum(0))
        ranks = torch.where(rarest >= FEWEST, ranks, 0.0)
    centred = ranks - ranks.mean(0)
    size = centred.square().mean(0).sqrt()
    return torch.where(size > 0, centred / size.clamp(min=1e-300), 0.0)


def _ranks(values: Tensor) -> Tensor:
    """Ranks over the samples; equal values share the mean of theirs."""
    looked = values.movedim(0, -1).contiguous()
    ordered = looked.sort(-1).values
    below = torch.searchsorted(ordered, looked)
    above = torch.searchsorted(ordered, looked, right=True)
    return (below + above).double().movedim(-1, 0) / 2
