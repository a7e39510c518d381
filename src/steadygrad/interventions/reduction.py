"""A summed loss, averaged: its gradient is divided by the number of terms that its graph shows."""

import math
from typing import Any

from torch import Tensor, nn

from .intervention import Intervention

NODES = 200
"""Nodes of the loss's graph that are looked at."""

MEAN, SUM = 1, 2
"""How torch's losses note that they were averaged, or summed."""

BEHIND = (
    *("MmBackward", "AddmmBackward", "BmmBackward", "BaddbmmBackward", "LinearBackward", "EmbeddingBackward"),
    *("ConvolutionBackward", "NativeLayerNormBackward", "NativeGroupNormBackward"),
    *("NativeBatchNormBackward", "CudnnBatchNormBackward", "ScaledDotProduct"),
)
"""Operations of a model: a loss's sums lie before them."""

LINEAR = ("SumBackward", "AddBackward", "SubBackward", "NegBackward", "MulBackward", "DivBackward")
"""Operations through which a sum is still a sum of what is summed before them."""

PARTS = 4
"""Means of which a loss may consist without being a sum over samples or time steps that a script adds up in a loop."""


class MeanReduction(Intervention):
    """The gradient of each loss is that of its mean: over all its `terms`, or over the `samples` of the batch alone.

    A loss that is a mean stays as it is.
    """

    remedy = "mean-reduction"

    def __init__(self, where: str = "", *, over: str = "terms", **options: Any) -> None:
        super().__init__(where, **options)
        self._over = over
        self._rows = 1

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """How many samples a batch has, for losses whose graph does not tell."""
        sizes = [each.shape[0] for each in (*args, *kwargs.values()) if isinstance(each, Tensor) and each.ndim > 1]
        self._rows = sizes[0] if sizes else self._rows
        return args, kwargs

    def factor(self, loss: Tensor) -> float:
        """One over the number of terms."""
        terms = summed_terms(loss)
        if terms is None:
            terms = self._rows
        if self._over == "samples" and 1 < self._rows < terms:
            terms = self._rows
        self.times += terms > 1
        return 1.0 / max(1, terms)


def summed_terms(loss: Tensor) -> int | None:
    """How many numbers the largest sum near the end of a loss's graph adds up; None where it shows no sum and no mean.

    Means are one number: what they average is divided already.

    Example:
        >>> import torch
        >>> x = torch.ones(4, 3, requires_grad=True)
        >>> summed_terms(x.square().sum() / 2), summed_terms(nn.functional.mse_loss(x, 2 * x, reduction="sum"))
        (12, 12)
        >>> summed_terms(x.square().mean()), summed_terms(x.max())
        (1, None)
    """
    waiting, seen = [(loss.grad_fn, False)], 0
    found: list[int] = []
    means = 0
    while waiting and seen < NODES:
        node, is_summed = waiting.pop(0)
        if node is None:
            continue
        seen += 1
        name = type(node).__name__
        if name.startswith("SumBackward"):
            sizes = getattr(node, "_saved_self_sym_sizes", ())
            found.append(math.prod(map(int, sizes)))
            waiting += [(before, True) for before, _ in node.next_functions]
        elif getattr(node, "_saved_reduction", None) == SUM:
            found.append(_terms(node))
        elif name.startswith("MeanBackward") or getattr(node, "_saved_reduction", None) == MEAN:
            means += 1
        elif name.startswith(BEHIND) or hasattr(node, "_saved_reduction"):
            continue
        elif not is_summed or name.startswith(LINEAR):
            # A sum of sums has as many terms as they have together, and so has one of their weighted sums; what is
            # squared before it is summed may be anything.
            waiting += [(before, is_summed) for before, _ in node.next_functions]
    if means:
        found.append(means if means > PARTS else 1)
    return max(found, default=None)


def _terms(node: Any) -> int:
    for name in ("_saved_target", "_saved_self"):
        value = getattr(node, name, None)
        if isinstance(value, Tensor):
            return max(1, value.numel())
    return 1
