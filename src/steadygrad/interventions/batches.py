"""Batches that are left out because they are far outside of what the others are."""

import math
from collections import deque
from statistics import median
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .data import has_numbers
from .inputs import parts_of
from .intervention import Intervention

FAR = 8.0
"""How many times larger than usual a batch's inputs or loss are that is left out."""

HISTORY = 64
"""Batches that say what is usual."""

FEWEST = 4
"""Batches without which nothing is usual."""

IN_A_ROW = 8
"""Batches far outside in a row that are no outliers any more: they are what the data is now."""


class DropOutlierSamples(Intervention):
    """The step of a batch is left out whose inputs or loss are many times larger than those of the batches before."""

    remedy = "drop-outlier-samples"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._usual = {name: deque[float](maxlen=HISTORY) for name in ("inputs", "loss")}
        self._now: dict[str, float] = {}
        self._dropped = 0

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """How large the largest number of this batch is."""
        sizes = [
            read_tensor_scalar(each.detach().abs().amax()) or 0.0
            for each in parts_of(args, kwargs)
            if has_numbers(each) and each.numel() and not each.requires_grad
        ]
        self._now["inputs"] = max([self._now.get("inputs", 0.0), *sizes])
        return args, kwargs

    def factor(self, loss: Tensor) -> float:
        """What its loss is."""
        self._now["loss"] = abs(read_tensor_scalar(loss.detach()) or 0.0)
        return 1.0

    def before_step(self, optimizer: Optimizer) -> bool:
        """Leave it out?"""
        now, self._now = self._now, {}
        far = any(self._is_far(name, value) for name, value in now.items())
        if far and self._dropped < IN_A_ROW:
            self._dropped += 1
            self.times += 1
            return True
        self._dropped = 0
        for name, value in now.items():
            if math.isfinite(value):
                self._usual[name].append(value)
        return False

    def _is_far(self, name: str, value: float) -> bool:
        known = self._usual[name]
        if len(known) < FEWEST or not math.isfinite(value):
            return False
        return value > FAR * max(median(known), 1e-30)
