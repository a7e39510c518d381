"""A part of a layer: those of its outputs that are meant, as where one matrix makes queries, keys and values."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """Tensors of one layer, and which of its outputs are meant.

    Attributes:
        tensors: the weight and what is added to its product.
        outputs: bool, one each output; None: all of them.
        axis: the dimension of the weight along which they lie; of a vector they lie along the only one.
    """

    tensors: Sequence[Tensor]
    outputs: Tensor | None = None
    axis: int = 0

    def factors(self, scale: float) -> list[float | Tensor]:
        """By what each tensor is multiplied where the part is multiplied by `scale`.

        Example:
            >>> part = Part([torch.ones(2, 3), torch.ones(2)], torch.tensor([True, False]))
            >>> [(each * factor).tolist() for each, factor in zip(part.tensors, part.factors(0.5))]
            [[[0.5, 0.5, 0.5], [1.0, 1.0, 1.0]], [0.5, 1.0]]
        """
        if self.outputs is None:
            return [scale] * len(self.tensors)
        factor = torch.where(self.outputs, scale, 1.0)
        return [self._along(factor.to(each), each) for each in self.tensors]

    def _along(self, factor: Tensor, tensor: Tensor) -> Tensor:
        shape = [1] * tensor.ndim
        shape[self.axis if tensor.ndim > 1 else 0] = -1
        return factor.view(shape)
