"""Clip attention logits by shrinking the projections that make them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._readback import peek
from ..measure import AttentionProbe
from .arguments import between, positive
from .gradients import Gradients
from .policy import Policy

PAIRS = (("q_proj", "k_proj"), ("query", "key"), ("q_lin", "k_lin"), ("to_q", "to_k"), ("wq", "wk"), ("q", "k"))
"""What the linear layers that make queries and keys are called in the models people use."""


@dataclass(frozen=True, slots=True)
class QueryKey:
    """The tensors that make queries and keys: weights and biases, (heads * size, ...) each; views will do."""

    query: tuple[Tensor, ...]
    key: tuple[Tensor, ...]


class QKClip(Policy):
    r"""Shrink the query and key projections of a head whose largest logit is above :math:`\tau`, after the step.

    .. math:: \gamma_h = \min(1, \tau / S_h), \qquad W_q \leftarrow \gamma_h^{\alpha} W_q, \quad
        W_k \leftarrow \gamma_h^{1 - \alpha} W_k

    :math:`S_h` is the largest logit of head h in the forward passes since the last step, as an `AttentionProbe` sees
    it. Biases shrink with their weights, else the logits do not shrink by :math:`\gamma_h`. With grouped queries, the
    heads that share a key share one factor, that of the worst of them. A projection that is frozen leaves it all to the
    other. With normalised queries and keys (QK-norm) it has no effect, nor any need.

    Works through `steadygrad.clip.attach`; gradients stay as they are. Knows `nn.MultiheadAttention` and modules with
    linear layers called `q_proj` and `k_proj`, `query` and `key`, and the like; for others pass `weights`.

    Args:
        model: the model whose forward passes are looked at, every one in training mode.
        threshold: :math:`\tau`.
        alpha: the share of the query in the shrinking.
        modules: the attention modules, or their paths; by default every one that an `AttentionProbe` finds.
        weights: gives the tensors of an attention module, where it keeps them under names of its own.

    Raises:
        ValueError: an argument is out of its range, or there is no attention module, or one whose projections are not
            known.

    Example:
        >>> from steadygrad.clip import attach
        >>> attention = nn.MultiheadAttention(4, 1)
        >>> optimizer = torch.optim.SGD(attention.parameters(), lr=0.0)
        >>> attached = attach(QKClip(attention, threshold=1.0), optimizer)
        >>> x = 30.0 * torch.eye(4).unsqueeze(1)
        >>> for _ in range(3):  # the first call shrinks, the others find nothing left to do
        ...     attention(x, x, x, need_weights=False)[0].sum().backward()
        ...     optimizer.step()
        >>> attached.policy.max_logits()[""].item() <= 1.0001
        True

    References:
        Kimi Team, "Kimi K2: open agentic intelligence", 2025.
    """

    scope: ClassVar[str] = "attention"
    needs_step: ClassVar[bool] = True

    def __init__(
        self,
        model: nn.Module,
        threshold: float = 100.0,
        *,
        alpha: float = 0.5,
        modules: Iterable[nn.Module | str] | None = None,
        weights: Callable[[nn.Module], QueryKey] | None = None,
    ) -> None:
        self.threshold = positive("threshold", threshold)
        self.alpha = between("alpha", alpha, 0.0, 1.0000001)
        self._weights = weights or query_key
        self._probe = AttentionProbe(model, every=1, modules=modules, entropy=False, accumulate=True)
        self._seen: dict[str, Tensor] = {}
        for module in self._probe.targets().values():
            self._weights(module)

    def max_logits(self) -> dict[str, Tensor]:
        """The largest logit of each head before the last step, by the modules' paths; (heads,), on the device."""
        return dict(self._seen)

    def rescale_(self, gradients: Gradients) -> None:
        """The gradients stay as they are."""

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Shrink the projections of the heads whose logits were too large."""
        self._seen = {path: stats.max_logit for path, stats in self._probe.read().items()}
        self._probe.reset()
        modules = self._probe.targets()
        for path, logits in self._seen.items():
            factors = torch.where(torch.isfinite(logits) & (logits > self.threshold), self.threshold / logits, 1.0)
            values = peek(factors)
            if values is None or min(values) < 1.0:
                self._shrink(self._weights(modules[path]), factors)

    def close(self) -> None:
        """Look at no more forward passes."""
        self._probe.close()

    def _shrink(self, tensors: QueryKey, factors: Tensor) -> None:
        heads = len(factors)
        size = tensors.query[0].shape[0] // heads
        groups = tensors.key[0].shape[0] // size
        shared = factors.view(groups, heads // groups).amin(1)
        free_query, free_key = (any(map(_trains, each)) for each in (tensors.query, tensors.key))
        share = self.alpha if free_query and free_key else float(free_query)
        if free_query:
            _scale_heads(tensors.query, shared.repeat_interleave(heads // groups) ** share)
        if free_key:
            _scale_heads(tensors.key, shared ** (1.0 - share))


def query_key(module: nn.Module) -> QueryKey:
    """The tensors that make queries and keys in an attention module.

    Args:
        module: an `nn.MultiheadAttention`, or a module with two linear layers of a known pair of names.

    Returns:
        Views of its parameters.

    Raises:
        ValueError: its projections are not known.

    Example:
        >>> [tuple(tensor.shape) for tensor in query_key(nn.MultiheadAttention(8, 2)).key]
        [(8, 8), (8,)]
    """
    if isinstance(module, nn.MultiheadAttention):
        width = module.embed_dim
        query: list[Tensor]
        key: list[Tensor]
        if module.in_proj_weight is not None:
            query, key = [module.in_proj_weight[:width]], [module.in_proj_weight[width : 2 * width]]
        else:
            query, key = [module.q_proj_weight], [module.k_proj_weight]
        if module.in_proj_bias is not None:
            query.append(module.in_proj_bias[:width])
            key.append(module.in_proj_bias[width : 2 * width])
        if module.bias_k is not None:
            key.append(module.bias_k.view(width))
        return QueryKey(tuple(query), tuple(key))
    for names in PAIRS:
        layers = [getattr(module, name, None) for name in names]
        if all(isinstance(layer, nn.Linear) for layer in layers):
            return QueryKey(*(tuple(layer.parameters()) for layer in layers if layer is not None))
    raise ValueError(
        f"{type(module).__name__} keeps its projections under names of its own, expected one of "
        f"{', '.join('/'.join(pair) for pair in PAIRS)}: pass weights="
    )


def _trains(tensor: Tensor) -> bool:
    base = tensor if tensor._base is None else tensor._base
    return base.requires_grad


def _scale_heads(tensors: Iterable[Tensor], factors: Tensor) -> None:
    for tensor in tensors:
        rows = tensor.detach().unflatten(0, (len(factors), -1))
        rows.mul_(factors.to(rows.device).view(-1, *[1] * (rows.ndim - 1)))
