"""Clip the norm: of all gradients together, or of each tensor by itself."""

from typing import ClassVar

import torch
from torch import Tensor

from .._readback import peek
from .arguments import threshold
from .gradients import Gradients
from .policy import Policy


class ClipByGlobalNorm(Policy):
    r"""Scale all gradients together to a norm of at most c: :math:`g \leftarrow g \cdot \min(1, c / \|g\|_p)`.

    Below the limit the gradients stay bit for bit. Finite gradients whose squares overflow keep their direction.

    Args:
        max_norm: c. `inf` measures and never clips.
        norm_type: p; 2, or any positive number, or `inf` for the largest element.

    Raises:
        ValueError: an argument is not positive.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> result = ClipByGlobalNorm(1.0)([weight])
        >>> result.grad_norm.item(), weight.grad.tolist()
        (5.0, [0.6000000238418579, 0.800000011920929])

    References:
        Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.
    """

    scope: ClassVar[str] = "global norm"

    def __init__(self, max_norm: float, norm_type: float = 2.0) -> None:
        self.max_norm = threshold("max_norm", max_norm)
        self.norm_type = threshold("norm_type", float(norm_type))

    def rescale_(self, gradients: Gradients) -> None:
        """Scale by one factor."""
        gradients.scale_(one_at_most(gradients.p_norm(self.norm_type), self.max_norm))


class ClipByTensorNorm(Policy):
    r"""Scale each gradient tensor by itself to a norm of at most c: :math:`g_i \leftarrow g_i \min(1, c / \|g_i\|_2)`.

    Args:
        max_norm: c.

    Raises:
        ValueError: `max_norm` is not positive.

    Example:
        >>> weight, bias = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
        >>> weight.grad, bias.grad = torch.tensor([0.0, 4.0]), torch.tensor([0.5, 0.0])
        >>> result = ClipByTensorNorm(1.0)([weight, bias])
        >>> weight.grad.tolist(), bias.grad.tolist()
        ([0.0, 1.0], [0.5, 0.0])

    References:
        Keras' `clipnorm`: each variable by itself.
    """

    scope: ClassVar[str] = "tensor norm"

    def __init__(self, max_norm: float) -> None:
        self.max_norm = threshold("max_norm", max_norm)

    def rescale_(self, gradients: Gradients) -> None:
        """Scale by a factor each."""
        gradients.scale_each_(at_most(gradients.norms(), self.max_norm))


class ClipByBlockRMS(Policy):
    r"""Scale each gradient tensor to a root mean square of at most c.

    .. math:: g_i \leftarrow g_i / \max(1, \text{rms}(g_i) / c)

    Args:
        threshold: c.

    Raises:
        ValueError: `threshold` is not positive.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([4.0, -4.0])
        >>> result = ClipByBlockRMS(1.0)([weight])
        >>> weight.grad.tolist()
        [1.0, -1.0]

    References:
        Shazeer and Stern, "Adafactor: Adaptive learning rates with sublinear memory cost", 2018.
    """

    scope: ClassVar[str] = "tensor norm"

    def __init__(self, threshold: float) -> None:
        self.threshold = _threshold("threshold", threshold)
        self._sizes: tuple[int, ...] = ()
        self._roots: Tensor | None = None

    def rescale_(self, gradients: Gradients) -> None:
        """Scale by a factor each."""
        if not gradients.grads:
            return
        norms = gradients.norms()
        sizes = tuple(param.numel() for param in gradients.params)
        if self._roots is None or sizes != self._sizes or self._roots.device != norms.device:
            # Made once: a list that goes to an accelerator at every step would be waited for.
            self._sizes, self._roots = sizes, torch.tensor(sizes, dtype=norms.dtype, device=norms.device).sqrt()
        gradients.scale_each_(at_most(norms, self.threshold * self._roots))


_threshold = threshold


def at_most(norms: Tensor, limit: float | Tensor) -> Tensor:
    """The factors that bring norms down to a limit: 1 exactly for those that are not above it."""
    return torch.where(norms > limit, limit / norms, 1.0)


def one_at_most(norm: Tensor, limit: float) -> Tensor | float:
    """The same of one norm; where it can be read for nothing, a number: sooner there than by three kernels."""
    known = peek(norm)
    if known is None:
        return at_most(norm, limit)
    return limit / known[0] if known[0] > limit else 1.0
