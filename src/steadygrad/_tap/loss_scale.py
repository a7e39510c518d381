"""The loss scale that a script has written itself, read off the graph of its loss."""

import math

from torch import Tensor

from .._readback import read_tensor_scalar

OWN_SCALE = 128.0
"""The least power of two before a loss that is taken for a loss scale which a script has written itself."""


def is_loss_scale(factor: float) -> bool:
    """Whether a number by which a loss is multiplied is a high power of two, as loss scales are and weights are not.

    Example:
        >>> is_loss_scale(2.0**16), is_loss_scale(1000.0), is_loss_scale(2.0)
        (True, False, False)
    """
    return factor >= OWN_SCALE and math.frexp(factor)[0] == 0.5


def own_scale(loss: Tensor) -> float:
    """The power of two by which a script has multiplied its loss before differentiating it; 1.0 if by none.

    Example:
        >>> import torch
        >>> loss = torch.ones(3, requires_grad=True).mean()
        >>> own_scale(loss * 2.0**14), own_scale(65536 * (loss / 4)), own_scale(loss * 10)
        (16384.0, 16384.0, 1.0)
    """
    factor, node = 1.0, loss.grad_fn
    while node is not None and (name := type(node).__name__).startswith(("MulBackward", "DivBackward")):
        before = [each for each, _ in node.next_functions if each is not None]
        number = getattr(node, "_saved_other", None)
        number = getattr(node, "_saved_self", None) if number is None else number
        if len(before) != 1 or not isinstance(number, Tensor) or number.ndim or not number.is_cpu:
            break
        value = read_tensor_scalar(number) or 1.0
        factor = factor / value if name.startswith("Div") else factor * value
        node = before[0]
    return factor if is_loss_scale(factor) else 1.0
