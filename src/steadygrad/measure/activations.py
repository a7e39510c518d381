"""What is wrong with a layer's output: units that are dead, entries that are pinned."""

import torch
from torch import Tensor

MARGIN = 0.01
"""Share of its range within which a sigmoid or a tanh counts as pinned: the slope there is below 4 % of the largest."""


def dead_fraction(output: Tensor, dim: int | None = None) -> Tensor:
    r"""The share of units that are exactly zero for the whole batch.

    .. math:: \frac{1}{U} \sum_{u=1}^{U} [\, y_{b,u} = 0 \text{ for all } b \,]

    A unit that is dead for one batch need not be dead for the next, and the fewer entries a unit has in the batch, the
    more units are zero by chance.

    Args:
        output: a floating or complex tensor of any shape, the output of a ReLU or a relative of it. A DTensor is looked
            at whole, and gives a DTensor.
        dim: the dimension of the units. By default 1, the channels, of tensors with 4 or 5 dimensions (maps of a
            convolution), else the last, the features.

    Returns:
        A 0-d float32 tensor on the device, between 0 and 1; 0 where `output` is empty. A NaN is not zero.

    Raises:
        IndexError: `output` has no dimension `dim`.

    Example:
        >>> dead_fraction(torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]])).item()
        0.5
    """
    with torch.no_grad():
        values = output.reshape(1) if output.ndim == 0 else output
        if values.numel() == 0:
            return torch.zeros((), device=values.device)
        if dim is None:
            dim = 1 if values.ndim in (4, 5) else -1
        if not -values.ndim <= dim < values.ndim:
            raise IndexError(f"dim is {dim}, expected a dimension of a tensor with {values.ndim}")
        others = [place for place in range(values.ndim) if place != dim % values.ndim]
        dead = values == 0
        if others:
            dead = torch.logical_not(torch.any(torch.logical_not(dead), dim=others))
        return dead.to(torch.float32).mean()


def saturated_fraction(output: Tensor, low: float, high: float, margin: float = MARGIN) -> Tensor:
    r"""The share of entries pinned at one of the ends of a bounded nonlinearity.

    .. math:: \frac{1}{N} \sum_i [\, y_i \le a + m (b - a) \ \text{ or } \ y_i \ge b - m (b - a) \,]

    Args:
        output: a floating tensor of any shape. A DTensor is looked at whole, and gives a DTensor.
        low: a, the lower end of the range: 0 for a sigmoid, -1 for a tanh.
        high: b, the upper end.
        margin: m, the share of the range at either end that counts; 0 for the ends themselves.

    Returns:
        A 0-d float32 tensor on the device, between 0 and 1; 0 where `output` is empty. A NaN is not pinned.

    Raises:
        ValueError: `low` is not below `high`, or `margin` is not in [0, 0.5).

    Example:
        >>> saturated_fraction(torch.tensor([-1.0, -0.5, 0.0, 0.999]), -1, 1).item()
        0.5

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    if not low < high:
        raise ValueError(f"low is {low} and high is {high}, expected low < high")
    if not 0 <= margin < 0.5:
        raise ValueError(f"margin is {margin}, expected at least 0 and less than 0.5")
    with torch.no_grad():
        if output.numel() == 0:
            return torch.zeros((), device=output.device)
        width = margin * (high - low)
        return torch.logical_or(output <= low + width, output >= high - width).to(torch.float32).mean()
