"""How sharply attention looks: the entropy of its weights against that of looking everywhere alike."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MASKED = -9e3
"""A logit below this is a mask (-inf, the lowest number, -1e9, -1e4): no sound model computes one."""

MAX_LOGITS = 1 << 22
"""Logits that are looked at; of more, the first entries of the batch."""


@dataclass(frozen=True)
class Focus:
    """0-d tensors: `relative_entropy` is 1 for uniform weights and 0 for one-hot ones; `spread` is the largest
    difference of two logits of one query; `max_logit` the largest absolute one."""

    relative_entropy: Tensor
    spread: Tensor
    max_logit: Tensor


def logit_focus(logits: Tensor) -> Focus:
    r"""The mean relative entropy of softmax over the last dimension, and the spread of the logits.

    .. math:: \frac{-\sum_j p_j \log p_j}{\log n}, \quad p = \text{softmax}(z), \quad
        \max_j z_j - \min_j z_j

    over the n logits of a query that are not masked, averaged over the queries with at least two.

    Args:
        logits: floating, of shape (..., queries, keys).

    Returns:
        Three 0-d float32 tensors on the device; the relative entropy is 1 where no query has two keys.

    Example:
        >>> focus = logit_focus(torch.tensor([[0.0, 0.0, -torch.inf], [0.0, 100.0, 0.0]]))
        >>> focus.relative_entropy.item(), focus.spread.item()
        (0.5, 100.0)

    References:
        Zhai et al., "Stabilizing transformer training by preventing attention entropy collapse", 2023.
    """
    rows = logits.detach().reshape(-1, logits.shape[-1])
    rows = rows[: max(1, MAX_LOGITS // max(1, rows.shape[-1]))].float()
    seen = torch.logical_not(rows <= MASKED)
    counts = seen.sum(-1)
    weights = torch.softmax(rows.masked_fill(~seen, -math.inf), -1)
    entropy = torch.special.entr(weights.masked_fill(~seen, 0.0)).sum(-1)
    counted = counts > 1
    relative = torch.where(counted, entropy / counts.clamp(min=2).log(), 0.0).sum() / counted.sum().clamp(min=1)
    top = rows.masked_fill(~seen, -math.inf).amax(-1)
    bottom = rows.masked_fill(~seen, math.inf).amin(-1)
    spread = torch.where(counted, top - bottom, 0.0).max()
    largest = torch.where(seen, rows.abs(), 0.0).max()
    return Focus(torch.where(counted.any(), relative, 1.0), spread, largest)


def attention_focus(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float | None) -> Focus:
    """The same of scaled dot-product attention, whose logits are computed again.

    Args:
        query: floating, of shape (batch..., heads, L, d).
        key: of shape (batch..., heads, S, d); its heads may be fewer.
        mask: boolean (False: masked) or floating and added; broadcasts to (batch..., heads, L, S).
        causal: query i sees keys 0 to i only.
        scale: of the products; by default :math:`1 / \\sqrt{d}`.

    Returns:
        See `logit_focus`.
    """
    query, key = query.detach().float(), key.detach().float()
    if key.ndim > 2 and key.shape[-3] != query.shape[-3]:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    entries = max(1, MAX_LOGITS // max(1, query[:1].numel() // max(1, query.shape[-1]) * key.shape[-2]))
    batch = query.shape[0]
    logits = query[:entries] @ key[:entries].transpose(-1, -2)
    logits = logits * (scale if scale is not None else 1 / math.sqrt(max(1, query.shape[-1])))
    if mask is not None:
        part = mask[:entries] if mask.ndim == query.ndim and mask.shape[0] == batch else mask
        logits = logits.masked_fill(~part, -math.inf) if part.dtype == torch.bool else logits + part
    if causal:
        length, source = logits.shape[-2:]
        later = torch.ones(length, source, dtype=torch.bool, device=logits.device).triu(1)
        logits = logits.masked_fill(later, -math.inf)
    return logit_focus(logits)
