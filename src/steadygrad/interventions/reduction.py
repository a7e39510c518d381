"""A summed loss, averaged: its gradient is divided by the number of terms that its graph shows."""

import math
from typing import Any

from torch import Tensor, nn

from .intervention import Intervention

NODES = 200
"""Nodes of the loss's graph that are looked at."""

SUM = 2
"""How torch's losses note that they were summed."""


class MeanReduction(Intervention):
    """The gradient of each loss is that of its mean: over all its `terms`, or over the `samples` of the batch alone."""

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
        terms = summed_terms(loss) or self._rows
        if self._over == "samples" and 1 < self._rows < terms:
            terms = self._rows
        self.times += terms > 1
        return 1.0 / max(1, terms)


def summed_terms(loss: Tensor) -> int | None:
    """How many numbers the largest sum near the end of a loss's graph adds up; None where it shows no sum.

    Example:
        >>> import torch
        >>> x = torch.ones(4, 3, requires_grad=True)
        >>> summed_terms(x.square().sum() / 2), summed_terms(nn.functional.mse_loss(x, 2 * x, reduction="sum"))
        (12, 12)
        >>> summed_terms(x.square().mean()) is None
        True
    """
    waiting, seen = [loss.grad_fn], 0
    found: list[int] = []
    while waiting and seen < NODES:
        node = waiting.pop(0)
        if node is None:
            continue
        seen += 1
        name = type(node).__name__
        if name.startswith("SumBackward"):
            sizes = getattr(node, "_saved_self_sym_sizes", ())
            found.append(math.prod(map(int, sizes)))
        elif getattr(node, "_saved_reduction", None) == SUM:
            found.append(_terms(node))
        elif name.startswith(("MeanBackward", "MmBackward", "AddmmBackward")) or hasattr(node, "_saved_reduction"):
            continue  # behind it lies the model
        else:
            waiting += [before for before, _ in node.next_functions]
    return max(found, default=None)


def _terms(node: Any) -> int:
    for name in ("_saved_target", "_saved_self"):
        value = getattr(node, name, None)
        if isinstance(value, Tensor):
            return max(1, value.numel())
    return 1
