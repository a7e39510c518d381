"""Clip the update instead of the gradient: a smaller step for each tensor whose second moment lags behind."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from .. import _dist
from .._readback import peek
from ..measure import second_moment_ratio
from .arguments import positive
from .gradients import Gradients
from .policy import Policy


class ClipByUpdateRMS(Policy):
    r"""Shorten a tensor's step by the RMS of :math:`g^2 / v` where that is above a threshold (StableAdamW).

    .. math:: \Delta w_i \leftarrow \Delta w_i / \max(1, \text{RMS}_i / d), \qquad
        \text{RMS}_i = \sqrt{\text{mean}(g_i^2 / \max(\hat v_i, \epsilon^2))}

    Works with any optimizer of the Adam family, through `steadygrad.clip.attach`; weight decay is a part of the step.
    On an accelerator the weights are copied for the time of the step; on a CPU those of the tensors that are clipped.

    Args:
        threshold: d.

    Raises:
        ValueError: `threshold` is not positive, or the optimizer keeps no second moments.

    Example:
        >>> from steadygrad.clip import attach
        >>> weight = torch.nn.Parameter(torch.zeros(1))
        >>> optimizer = torch.optim.AdamW([weight], lr=0.1)
        >>> attached = attach(ClipByUpdateRMS(), optimizer)
        >>> for size in (1.0, 1.0, 100.0):
        ...     weight.grad = torch.tensor([size])
        ...     before = weight.item()
        ...     optimizer.step()
        >>> abs(weight.item() - before) < 0.05
        True

    References:
        Wortsman et al., "Stable and low-precision training for large-scale vision-language models", 2023.
        Shazeer and Stern, "Adafactor: Adaptive learning rates with sublinear memory cost", 2018.
    """

    scope: ClassVar[str] = "update"
    needs_optimizer: ClassVar[bool] = True
    needs_step: ClassVar[bool] = True

    def __init__(self, threshold: float = 1.0) -> None:
        self.threshold = positive("threshold", threshold)
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def rescale_(self, gradients: Gradients) -> None:
        """The gradients stay as they are."""

    def before_step(self, optimizer: Optimizer) -> None:
        """Measure, and keep the weights whose step will be shortened."""
        self._kept.clear()
        params, ratios = second_moment_ratio(optimizer)
        for param, ratio in zip(params, ratios, strict=True):
            factor = self.threshold / ratio.clamp(min=self.threshold)
            factor = torch.where(torch.isfinite(factor), factor, 1.0)
            values = peek(factor)
            if values is None or values[0] < 1.0:
                weight = _dist.local(param.detach())
                self._kept.append((weight, weight.clone(), factor))

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Take back the part of each step that is too much."""
        for weight, before, factor in self._kept:
            # With a factor of 1 this is the weight itself, bit for bit.
            weight.sub_((weight - before).mul_((1.0 - factor).to(weight.dtype)))
        self._kept.clear()
