"""Clip each element of the gradient."""

from typing import ClassVar

from .arguments import threshold
from .gradients import Gradients
from .policy import Policy


class ClipByValue(Policy):
    r"""Clamp every element: :math:`g \leftarrow \min(\max(g, -v), v)`. The direction of the gradient changes.

    Infinities become :math:`\pm v`, as in torch; a NaN stays.

    Args:
        clip_value: v, in units of the gradient.

    Raises:
        ValueError: `clip_value` is not positive.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.zeros(3))
        >>> weight.grad = torch.tensor([0.5, -3.0, 2.0])
        >>> result = ClipByValue(1.0)([weight])
        >>> weight.grad.tolist()
        [0.5, -1.0, 1.0]

    References:
        Mikolov, "Statistical language models based on neural networks", 2012.
    """

    scope: ClassVar[str] = "elements"

    def __init__(self, clip_value: float) -> None:
        self.clip_value = threshold("clip_value", clip_value)

    def rescale_(self, gradients: Gradients) -> None:
        """Clamp in place."""
        for values in gradients.edit():
            values.clamp_(-self.clip_value, self.clip_value)
