"""Data that is NaN or infinite, filled in wherever it meets what is trained."""

from typing import Any

import torch
from torch import Tensor

from .._readback import any_nan, any_nonfinite, any_positive_infinity
from .data import Data, is_untrained

MULTIPLIED = frozenset(
    {"linear", "conv1d", "conv2d", "conv3d", "matmul", "__matmul__", "mm", "bmm", "addmm", "baddbmm", "einsum"}
    | {"batch_norm", "layer_norm", "group_norm", "lstm", "gru", "rnn_tanh", "rnn_relu"}
)
"""Functions that no mask is given to: minus infinity times weights of both signs is no number."""


class DropOrImpute(Data):
    """Entries of data that are not finite become zero; of targets they become the prediction, whose error is zero.

    Masks of minus infinity are no missing values, but where weights multiply it.
    """

    remedy = "drop-or-impute-nonfinite-samples"

    def met(self, value: Tensor, trained: Tensor | None, site: tuple[Any, ...]) -> Tensor:
        """Fill it in."""
        if not is_missing(value) and not (site[0] in MULTIPLIED and any_nonfinite([value])):
            return value
        self.times += 1
        if trained is None or trained.shape != value.shape:
            return value.nan_to_num(0.0, 0.0, 0.0)
        return torch.where(value.isfinite(), value, trained.detach().to(value.dtype))


def is_missing(value: Any) -> bool:
    """Whether a tensor is data with entries that are not finite, other than a mask's."""
    return is_untrained(value) and any_nonfinite([value]) and (any_nan([value]) or any_positive_infinity([value]))
