"""z-loss: logits whose normaliser stays near one."""

import torch
from torch import Tensor

from .weights import wide


def z_loss(
    logits: Tensor,
    coefficient: float = 1e-4,
    *,
    mask: Tensor | None = None,
    targets: Tensor | None = None,
    ignore_index: int = -100,
    dim: int = -1,
) -> Tensor:
    r"""The squared log of the softmax's normaliser, :math:`c \cdot \text{mean} (\log \sum_j e^{z_j})^2`.

    A cross-entropy does not change when all logits of a position do, so nothing keeps them from drifting until their
    precision is gone. This does. The factor is in it already: `loss + penalty.z_loss(logits)`. For the router of a
    mixture of experts 1e-3 is usual.

    Args:
        logits: [..., classes], of any precision; worked on in float32 at least.
        coefficient: c.
        mask: True (or 1) where a position counts; in the shape of the logits without their classes.
        targets: the targets of the cross-entropy, instead of `mask`: positions with `ignore_index` do not count.
        ignore_index: as torch's cross-entropy has it.
        dim: where the classes are; 1 for the logits [batch, classes, ...] of torch's cross-entropy.

    Returns:
        0-d, differentiable; 0 where no position counts. Not finite where a logit that counts is nan or inf; -inf (a
        class that is ruled out) counts for nothing, unless all of a position's are.

    Raises:
        ValueError: `mask` and `targets` are both given, or have another shape; `coefficient` is negative.

    Example:
        >>> z_loss(torch.zeros(2, 4), 1.0).item() == torch.tensor(4.0).log().square().item()
        True

    References:
        Chowdhery et al., "PaLM: scaling language modeling with pathways", 2022.
        de Brébisson and Vincent, "The Z-loss: a shift and scale invariant classification loss", 2016.
    """
    if not coefficient >= 0:
        raise ValueError(f"coefficient is {coefficient}, expected at least 0")
    if mask is not None and targets is not None:
        raise ValueError("give a mask or the targets, not both")
    if targets is not None:
        mask = targets != ignore_index
    logits = wide(logits)
    if mask is None:
        squares = torch.logsumexp(logits, dim).square()
        return coefficient * squares.sum() / max(1, squares.numel())
    mask = mask.to(torch.bool)
    positions = logits.select(dim, 0).shape
    if mask.shape != positions:
        raise ValueError(f"mask or targets have shape {tuple(mask.shape)}, expected {tuple(positions)}")
    # What does not count is taken out before the logarithm: a nan there would come back through its derivative.
    squares = torch.logsumexp(logits.where(mask.unsqueeze(dim), 0.0), dim).square()
    return coefficient * squares.where(mask, 0.0).sum() / mask.sum().clamp(min=1)
