"""What an intervention is: one change made to a training from outside, while the script stays as it is."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer


class Intervention:
    """One remedy, applied. Each method is a place of a training loop; what a remedy does not need it leaves alone.

    An instance belongs to one training. `Applied` calls it, in the order of a step: `forward` (of every outermost
    module call), `factor`, `before_clip`, `after_clip`, `before_step`, `after_step`.

    Attributes:
        remedy: the id in the catalogue.
        where: the parameter or module that the finding names; empty if none.
        times: how often it has changed anything. What never has is no trial of its remedy.
    """

    remedy: ClassVar[str]

    def __init__(self, where: str = "", **options: Any) -> None:
        if options:
            raise TypeError(f"{self.remedy} has no option {', '.join(options)}")
        self.where = where
        self.times = 0

    def begin(self) -> None:
        """Before the script's first line that uses torch, or now, where a training is going on."""

    def end(self) -> None:
        """Take away what `begin` has put in place."""

    def outlives(self) -> "Intervention | None":
        """What the state of the training depends on by now, and has to go on when this ends; asked before `end`."""
        return None

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """An optimizer was made, or is there already, or what stands for the script's own updates is another now."""

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """An outermost module is about to be called for the first time: its weights are still those of the start."""

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """An outermost module is about to be called; returns what it is to be given."""
        return args, kwargs

    def factor(self, loss: Tensor) -> float:
        """A loss is about to be differentiated; returns by what its gradient is to be multiplied."""
        return 1.0

    def before_clip(self, scaler: Any, params: Sequence[Tensor]) -> None:
        """One of torch's clipping functions is about to be called; `scaler` is the gradient scaler, if there is one."""

    def after_clip(self, params: Sequence[Tensor]) -> None:
        """It is done."""

    def settle(self) -> None:
        """The first step is about to be made: what the first pass has only prepared is done to the weights now."""

    def step_aside(self) -> None:
        """Between `before_step` and `after_step` somebody computes a pass again: weights are as the script has them."""

    def step_back(self) -> None:
        """It is done."""

    def before_step(self, optimizer: Optimizer) -> bool:
        """Gradients are there; returns whether this step is to be left out."""
        return False

    def after_step(self, optimizer: Optimizer) -> None:
        """The step is over."""
