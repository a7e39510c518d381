"""A policy before every step of an optimizer, without a line in the loop."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch.optim import Optimizer

from .fold import Fold, can_fold, settle_scale, step_gradients
from .policy import Clipped, Policy


class Attached:
    """A policy that is attached to an optimizer; ends with `remove()` or with its `with` block. Made by `attach`.

    `last` is what was done to the last step's gradients; `folded` says whether the optimizer carries out the clip.
    """

    def __init__(self, policy: Policy, optimizer: Optimizer, *, fold: bool) -> None:
        self.policy = policy
        self.last: Clipped | None = None
        self.folded = fold
        self._fold: Fold | None = None
        self._handles = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]

    def remove(self) -> None:
        """Let go of the optimizer."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __enter__(self) -> "Attached":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # The hook's arguments are those of `step`, the optimizer among them.
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            self._clip(optimizer)
            return None
        wrapped = self._clipped_closure(optimizer, closure)
        if "closure" in kwargs:
            return args, {**kwargs, "closure": wrapped}
        return (*args[:1], wrapped, *args[2:]), kwargs

    def _clipped_closure(self, optimizer: Optimizer, closure: Callable[[], Any]) -> Callable[[], Any]:
        def clipped() -> Any:
            with torch.enable_grad():
                loss = closure()
            self._clip(optimizer, fold=False)
            return loss

        return clipped

    @torch.no_grad()
    def _clip(self, optimizer: Optimizer, *, fold: bool = True) -> None:
        if self._fold is not None:  # the last step has raised before its end
            self._fold.undo()
            self._fold = None
        gradients = step_gradients(optimizer)
        if fold and self.folded and not gradients.sharded:  # fused kernels take no plain scale for sharded gradients
            self._fold = Fold(optimizer)
            self.last = self._fold.clip_(self.policy, gradients)
        else:
            self.last = self.policy.clip_(gradients)
            settle_scale(optimizer, gradients)
        self.policy.before_step(optimizer)

    @torch.no_grad()
    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._fold is not None:
            self._fold.undo()
            self._fold = None
        self.policy.after_step(optimizer)


def attach(policy: Policy, optimizer: Optimizer, *, fold: bool = True) -> Attached:
    """Clip before every step of an optimizer from now on; loop, schedulers and gradient scaler stay as they are.

    Where the optimizer is fused and takes `grad_scale` and `found_inf` (torch's Adam, AdamW, SGD and Adagrad with
    `fused=True`), the clip is folded into its step: the device decides, nothing is read, a scale that is the same for
    all gradients costs no pass of its own, and a step whose gradients are not all finite is left out, moments and step
    counters included.

    Args:
        policy: a policy, or a `chain` of them.
        optimizer: a torch optimizer. With a closure, gradients are clipped after each evaluation.
        fold: False never folds.

    Returns:
        The attachment: `last`, `remove()`.

    Raises:
        TypeError: `optimizer` is no torch optimizer, or `policy` no policy.
        ValueError: the optimizer searches along a line (LBFGS): it would compare clipped slopes with unclipped losses.

    Example:
        >>> from steadygrad.clip import ClipByGlobalNorm
        >>> weight = torch.nn.Parameter(torch.zeros(2))
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> with attach(ClipByGlobalNorm(1.0), optimizer) as attached:
        ...     weight.grad = torch.tensor([3.0, 4.0])
        ...     optimizer.step()
        >>> weight.tolist(), attached.last.grad_norm.item()
        ([-0.6000000238418579, -0.800000011920929], 5.0)
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer is a {type(optimizer).__name__}, expected a torch.optim.Optimizer")
    if not isinstance(policy, Policy):
        raise TypeError(f"policy is a {type(policy).__name__}, expected a policy of steadygrad.clip")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError("LBFGS compares slopes with losses along a line, expected an optimizer that takes one step")
    return Attached(policy, optimizer, fold=fold and can_fold(optimizer))
