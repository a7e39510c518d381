"""What the softmax of an attention sees: its largest logit and how evenly it looks around."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _dist

MAX_LOGITS = 1 << 24
"""Logits that exist at once (64 MiB in float32), a few times over while they are worked on."""


@dataclass(frozen=True, slots=True)
class AttentionStats:
    """Of each head of an attention, as vectors [heads] on its device, unread (float32, or float64 for float64).

    `max_logit` is the largest entry that goes into the softmax; -inf where nothing was looked at. `entropy` is that of
    the weights in nats, the mean over queries: 0 where each looks at one place; None where it was not asked.
    """

    max_logit: Tensor
    entropy: Tensor | None


@dataclass(frozen=True, slots=True)
class LogitSums:
    """What `AttentionStats` is made of, in parts that can be put together."""

    max_logit: Tensor
    entropy: Tensor
    queries: Tensor

    @classmethod
    def none(cls, heads: int, like: Tensor) -> "LogitSums":
        """Of no logits at all."""
        zero = torch.zeros(heads, dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)
        return cls(torch.full_like(zero, -math.inf), zero, zero)

    def with_(self, other: "LogitSums") -> "LogitSums":
        """Of the logits of both."""
        return LogitSums(
            torch.maximum(self.max_logit, other.max_logit),
            self.entropy + other.entropy,
            self.queries + other.queries,
        )

    def stats(self, entropy: bool) -> AttentionStats:
        """The statistics."""
        return AttentionStats(self.max_logit, self.entropy / self.queries.clamp(min=1) if entropy else None)


def attention_stats(
    query: Tensor,
    key: Tensor,
    *,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    entropy: bool = True,
    max_logits: int = MAX_LOGITS,
) -> AttentionStats:
    r"""The largest logit and the entropy of each head of a scaled dot-product attention.

    .. math:: z = s\, q k^\top + \text{mask}, \quad \max_{b,l,j} z_{b,l,j}, \quad
        \frac{1}{|Q|} \sum_{(b,l) \in Q} \Big(-\sum_j p_{b,l,j} \log p_{b,l,j}\Big), \quad p = \text{softmax}_j(z)

    Logits are computed again, in float32 and in chunks of queries; nothing is recorded for a backward. Logits that are
    masked are not counted, nor are queries all of whose logits are.

    Args:
        query: floating, of shape (batch..., heads, L, d); of DTensors, this rank's part.
        key: of shape (batch..., heads, S, d); its heads may be fewer, see `enable_gqa`, or one for all.
        attn_mask: boolean (False: masked) or floating, added to the logits (-inf, or at least half the lowest number of
            its dtype: masked); of a shape that broadcasts to (batch..., heads, L, S).
        is_causal: query i sees keys 0 to i only.
        scale: s; by default :math:`1 / \sqrt{d}`.
        enable_gqa: each head of `key` serves several successive heads of `query`.
        entropy: False leaves it out, at about half the cost.
        max_logits: how many logits may exist at once; at least those of one query, heads x S, do.

    Returns:
        The statistics of each query head over everything else.

    Raises:
        ValueError: `query` or `key` has fewer than three dimensions, their heads do not match, or `max_logits` is not
            positive.

    Example:
        >>> query = torch.tensor([[[4.0, 0.0], [0.0, 0.0]]])  # 1 head, L = 2, d = 2
        >>> stats = attention_stats(query, query, scale=1.0, is_causal=True)
        >>> stats.max_logit.tolist(), [round(value, 3) for value in stats.entropy.tolist()]
        ([16.0], [0.347])

    References:
        Zhai et al., "Stabilizing transformer training by preventing attention entropy collapse", 2023.
        Kimi Team, "Kimi K2: open agentic intelligence", 2025 (the largest logit).
    """
    query, key = _dist.local(query), _dist.local(key)
    attn_mask = None if attn_mask is None else _dist.local(attn_mask)
    if query.ndim < 3 or key.ndim < 3:
        raise ValueError(f"query and key have {query.ndim} and {key.ndim} dimensions, expected at least 3")
    heads, kv_heads = query.shape[-3], key.shape[-3]
    if heads != kv_heads and kv_heads != 1 and not (enable_gqa and kv_heads and heads % kv_heads == 0):
        raise ValueError(f"query has {heads} heads and key {kv_heads}, expected as many, or a divisor with enable_gqa")
    if max_logits < 1:
        raise ValueError(f"max_logits is {max_logits}, expected at least 1")
    sums = product_sums(
        query,
        key,
        attn_mask,
        is_causal,
        1 / math.sqrt(max(1, query.shape[-1])) if scale is None else scale,
        entropy,
        max_logits,
    )
    return sums.stats(entropy)


def product_sums(
    query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float, entropy: bool, limit: int
) -> LogitSums:
    """The sums for the logits of queries and keys; arguments as of `attention_stats`."""
    with torch.no_grad(), full_precision(query.device):
        batch = torch.broadcast_shapes(query.shape[:-3], key.shape[:-3])
        query = query.expand(*batch, *query.shape[-3:])
        key = key.expand(*batch, *key.shape[-3:])
        if mask is not None:
            mask = mask.expand(*batch, *query.shape[-3:-1], key.shape[-2])
        return _nested_sums(query, key, mask, causal, scale, entropy, limit)


def logit_sums(logits: Tensor, entropy: bool, limit: int = MAX_LOGITS) -> LogitSums:
    """The sums for logits (batch..., heads, L, S) that exist already, masked with -inf or nearly so."""
    with torch.no_grad(), full_precision(logits.device):
        logits = logits.flatten(0, -4) if logits.ndim > 3 else logits.unsqueeze(0)
        sums = LogitSums.none(logits.shape[1], logits)
        for entries, queries in _chunks(logits, logits.shape[-1], limit):
            part = logits[entries, :, queries]
            sums = sums.with_(_chunk_sums(part.to(sums.max_logit.dtype), _is_masking(part), entropy))
        return sums


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """No autocast on a device: the float32 of the logits is meant."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def _nested_sums(
    query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float, entropy: bool, limit: int
) -> LogitSums:
    """The sums for batches of any depth. (A mask that was broadcast cannot be flattened without copying it.)"""
    if query.ndim == 3:
        query, key, mask = query.unsqueeze(0), key.unsqueeze(0), None if mask is None else mask.unsqueeze(0)
    if query.ndim == 4:
        return _product_sums(query, key, mask, causal, scale, entropy, limit)
    sums = LogitSums.none(query.shape[-3], query)
    for place in range(query.shape[0]):
        inner = None if mask is None else mask[place]
        sums = sums.with_(_nested_sums(query[place], key[place], inner, causal, scale, entropy, limit))
    return sums


def _product_sums(
    query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float, entropy: bool, limit: int
) -> LogitSums:
    heads, source = query.shape[1], key.shape[2]
    sums = LogitSums.none(heads, query)
    wide = sums.max_logit.dtype
    for entries, queries in _chunks(query, source, limit):
        part = query[entries, :, queries].to(wide) * scale
        keys = key[entries].to(wide)
        # The heads that share a key stand beside each other: as more queries of one head, the key is not copied.
        grouped = part.reshape(part.shape[0], keys.shape[1], -1, part.shape[-1])
        logits = (grouped @ keys.transpose(-2, -1)).reshape(part.shape[0], heads, -1, source)
        masked = None
        if causal:
            rows = torch.arange(queries.start, queries.stop, device=query.device)
            masked = torch.arange(source, device=query.device) > rows.unsqueeze(-1)
        if mask is not None:
            given = mask[entries, :, queries]
            if given.dtype == torch.bool:
                hidden = torch.logical_not(given)
            else:
                logits = logits + given
                hidden = _is_masking(given)
            masked = hidden if masked is None else torch.logical_or(masked, hidden)
        sums = sums.with_(_chunk_sums(logits, masked, entropy))
    return sums


def _chunks(rows: Tensor, source: int, limit: int) -> Iterator[tuple[slice, slice]]:
    """Places in a batch and queries, of rows (batch, heads, L, ...), so that `limit` logits are not exceeded."""
    count, heads, length = rows.shape[:3]
    if rows.numel() == 0 or source == 0:
        return
    entries = max(1, limit // (heads * length * source))
    queries = min(length, max(1, limit // (heads * source)))
    for first in range(0, count, entries):
        for start in range(0, length, queries):
            yield slice(first, min(first + entries, count)), slice(start, min(start + queries, length))


def _chunk_sums(logits: Tensor, masked: Tensor | None, entropy: bool) -> LogitSums:
    if masked is not None:
        logits = logits.masked_fill(masked, -math.inf)
    highest = logits.amax(-1)
    max_logit = highest.amax((0, 2))
    if not entropy:
        nothing = torch.zeros_like(max_logit)
        return LogitSums(max_logit, nothing, nothing)
    counted = highest != -math.inf  # a NaN is counted
    weights = torch.softmax(logits.masked_fill(torch.logical_not(counted).unsqueeze(-1), 0), -1)
    each = torch.special.entr(weights).sum(-1)
    return LogitSums(max_logit, torch.where(counted, each, 0).sum((0, 2)), counted.sum((0, 2)).to(max_logit.dtype))


def _is_masking(values: Tensor) -> Tensor:
    """Where numbers are so low that they are meant as minus infinity."""
    return values <= torch.finfo(values.dtype).min / 2
