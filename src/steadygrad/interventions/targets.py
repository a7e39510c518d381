"""Targets in standard units."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .inputs import Moments, is_data
from .intervention import Intervention
from .replaced import Replaced

TARGET_LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "gaussian_nll_loss")
"""torch's losses of a prediction against a number."""


class StandardiseTargets(Intervention):
    """torch's regression losses compare the prediction with standardised targets.

    The loss is then in units of their variance: what a trial has learned is judged by its own start.
    """

    remedy = "standardise-targets"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._known: dict[tuple[str, int], Moments] = {}
        self._replaced: list[Replaced] = []

    def begin(self) -> None:
        """Come before these losses."""
        for name in TARGET_LOSSES:
            loss = self._standardised(name, getattr(nn.functional, name))
            self._replaced.append(Replaced(nn.functional, name, loss))

    def end(self) -> None:
        """As it was."""
        for each in self._replaced:
            each.undo()
        self._replaced.clear()

    def _standardised(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def loss(input: Tensor, target: Tensor, *args: Any, **kwargs: Any) -> Any:
            if is_data(target):
                moments = self._known.setdefault((name, target.ndim), Moments())
                self.times += 1
                target = moments.applied(target, None, learns=torch.is_grad_enabled() or not moments.calls)
            return original(input, target, *args, **kwargs)

        return loss
