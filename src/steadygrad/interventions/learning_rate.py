"""A lower learning rate, and one that rises over the first steps."""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from .._rate import LoweredRate, can_lower
from .._tap import OwnUpdates
from ..schedule.shapes import Decay
from .intervention import Intervention


class _Rate(Intervention):
    """Lowers the rate around each step, so that schedules keep their shape whatever sets them."""

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._rate = LoweredRate()
        self._made: dict[int, int] = {}
        self._own: OwnUpdates | None = None

    def share(self, made: int) -> float:
        """What is left of the rate after so many steps."""
        raise NotImplementedError

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Whether the script makes its steps itself."""
        self._own = optimizer if isinstance(optimizer, OwnUpdates) else None

    def factor(self, loss: Tensor) -> float:
        """Where the script's own lines are the step, a smaller gradient is a lower rate."""
        if self._own is None:
            return 1.0
        share = self._next(self._own)
        self.times += share != 1.0
        return share

    def before_step(self, optimizer: Optimizer) -> bool:
        """Lower it."""
        if isinstance(optimizer, OwnUpdates):
            return False
        share = self._next(optimizer)
        if share != 1.0 and can_lower(optimizer):
            self._rate.apply(optimizer, share)
            self.times += 1
        return False

    def end(self) -> None:
        """A step that has raised leaves nothing lowered."""
        self._rate.restore()

    def _next(self, optimizer: Optimizer) -> float:
        made = self._made[id(optimizer)] = self._made.get(id(optimizer), -1) + 1
        return self.share(made)

    def after_step(self, optimizer: Optimizer) -> None:
        """Put the script's own rate back."""
        self._rate.restore()


class LowerLearningRate(_Rate):
    """The rate of every step times a factor."""

    remedy = "lower-learning-rate"

    def __init__(self, where: str = "", *, factor: float = 0.1, **options: Any) -> None:
        super().__init__(where, **options)
        self._factor = factor

    def share(self, made: int) -> float:
        """Always the same."""
        return self._factor


class WarmUp(_Rate):
    """The rate rises linearly over the first steps, and falls by half a cosine until `total`, if there is one.

    References:
        Goyal et al., "Accurate, large minibatch SGD", 2017.
        Loshchilov and Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017.
    """

    remedy = "warm-up"

    def __init__(self, where: str = "", *, steps: int = 100, total: int = 0, **options: Any) -> None:
        super().__init__(where, **options)
        self._steps = steps
        self._fall = Decay(steps, total - steps, 0.0, "cosine") if total > steps else None

    def share(self, made: int) -> float:
        """One part more at each step, then ever less."""
        rise = min(1.0, (made + 1) / (self._steps + 1))
        return rise if self._fall is None else rise * self._fall.level(made)
