"""What an optimizer and a model remember beside the weights, begun anew."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from .._readback import any_nonfinite
from .._tap import OwnUpdates, params_of
from .functions import holds_anywhere
from .intervention import Intervention


class ResetMoments(Intervention):
    """Moments are begun anew when they are loaded, when they are not finite, and at the step of the finding.

    `step` is that one; None for none.
    """

    remedy = "reset-moments"

    def __init__(self, where: str = "", *, step: int | None = None, **options: Any) -> None:
        super().__init__(where, **options)
        self._step = step
        self._made: dict[int, int] = {}
        self._handles: list[Any] = []

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Come after each loading."""
        register = getattr(optimizer, "register_load_state_dict_post_hook", None)
        if register is not None and not isinstance(optimizer, OwnUpdates):
            self._handles.append(register(self._reset))

    def end(self) -> None:
        """Come no more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def before_step(self, optimizer: Optimizer) -> bool:
        """Look at them."""
        made = self._made[id(optimizer)] = self._made.get(id(optimizer), -1) + 1
        if made == self._step:
            self._reset(optimizer)
        for param in params_of(optimizer):
            own = optimizer.state.get(param)
            if not isinstance(own, dict):
                continue
            moments = [each for each in own.values() if _is_moment(each)]
            if moments and (any_nonfinite(moments) or _negative(own)):
                self._forget(optimizer, param)
        return False

    def _reset(self, optimizer: Optimizer) -> None:
        for param in list(optimizer.state):
            self._forget(optimizer, param)

    @torch.no_grad()
    def _forget(self, optimizer: Optimizer, param: Any) -> None:
        self.times += 1
        own = optimizer.state.pop(param)
        if isinstance(optimizer, OwnUpdates):  # the script's own: it has no other
            for each in filter(_is_moment, own.values()):
                each.zero_()


class ResetRunningStats(Intervention):
    """Running statistics are begun anew at the step of the finding and whenever they are broken.

    Those that are used and not learned (a frozen norm) become those of the next batch: nothing else would fill them.
    """

    remedy = "reset-running-stats"

    def __init__(self, where: str = "", *, step: int | None = None, **options: Any) -> None:
        super().__init__(where, **options)
        self._step = step
        self._made = 0
        self._handles: dict[int, Any] = {}

    def end(self) -> None:
        """A pass that has never come leaves nothing on the layers."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Before the pass that would use them."""
        due = self._step is not None and self._made >= self._step
        for each in module.modules():
            if not callable(getattr(each, "reset_running_stats", None)):
                continue
            variance = getattr(each, "running_var", None)
            if isinstance(variance, Tensor) and is_lazy(variance):
                continue
            broken = isinstance(variance, Tensor) and (any_nonfinite([variance]) or holds_anywhere(variance <= 0))
            if due or broken:
                each.reset_running_stats()  # pyright: ignore
                self.times += 1
                if not each.training and id(each) not in self._handles:
                    self._handles[id(each)] = each.register_forward_pre_hook(self._fill)
        if due:
            self._step = None
        return args, kwargs

    @torch.no_grad()
    def _fill(self, layer: nn.Module, args: tuple[Any, ...]) -> None:
        """Once, and layer after layer: what the next one gets was made with the new numbers."""
        given, mean, variance = args[0], layer.running_mean, layer.running_var
        self._handles.pop(id(layer)).remove()
        if not isinstance(mean, Tensor) or not isinstance(variance, Tensor) or given.numel() < 2 * mean.numel():
            return
        fresh = torch.var_mean(given.detach().float(), [0, *range(2, given.ndim)])
        if not any_nonfinite(list(fresh)):
            variance.copy_(fresh[0])
            mean.copy_(fresh[1])

    def after_step(self, optimizer: Optimizer) -> None:
        """Count."""
        self._made += 1


def _is_moment(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 0


def _negative(state: dict[str, Any]) -> bool:
    second = [state[name] for name in ("exp_avg_sq", "square_avg", "sum") if isinstance(state.get(name), Tensor)]
    return any(holds_anywhere(each < 0) for each in second)
