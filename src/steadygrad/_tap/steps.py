"""Optimizer steps: hooks before and after, whatever the optimizer, with or without a closure, nested or not.

The order of one step, where `observer` is the watcher:

    without a closure   pre-hook: judge, and clip or hand torch a hollow optimizer  -> step -> post-hook: finish
    with a closure      pre-hook: wrap the closure -> step calls it: gradients exist only now: judge, clip or hide them
                        -> the rest of the step, left by an exception if it is to be lost -> post-hook: put back, finish
"""

import functools
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from .._foreach import zero_
from .._readback import any_nonfinite
from .._snapshot import OptimizerBackup
from ..errors import TrainingDiverged
from ..guard import HiddenGradients, hollow


@dataclass(frozen=True, slots=True)
class Plan:
    """What the observer wants done with a step: nothing, or to lose it. Clipping it has done itself."""

    lose: bool


class StepObserver(Protocol):
    """Who is asked about every step."""

    acts: bool
    """Whether steps may be lost at all; an observer that only looks needs no copies."""

    def wants(self, optimizer: Optimizer) -> bool:
        """Whether this optimizer is watched."""
        ...

    def before(self, optimizer: Optimizer, closure_loss: Any, frame: FrameType | None, *, may_clip: bool) -> Plan:
        """Gradients are there, the step is not made yet."""
        ...

    def passed_by(self) -> None:
        """An optimizer that is not watched makes a step."""
        ...

    def undone(self, optimizer: Optimizer) -> None:
        """A step that had been judged sound failed half-way and was undone."""
        ...

    def after(self, optimizer: Optimizer, *, lost: bool) -> None:
        """The step is over, made or lost. May raise `TrainingDiverged`."""
        ...

    def raised(self, optimizer: Optimizer) -> None:
        """The optimizer's own code has raised in the step: no post-hook will be called."""
        ...


class _Call:
    """One step in progress."""

    __slots__ = (
        "backup",
        "evaluations",
        "frame",
        "hidden",
        "inner",
        "last_bad",
        "losable",
        "lost",
        "optimizer",
        "outer",
    )

    def __init__(self, optimizer: Optimizer, frame: FrameType) -> None:
        self.optimizer = optimizer
        self.frame: FrameType | None = frame
        self.lost = False
        self.losable = False
        self.hidden: HiddenGradients | None = None
        self.backup: OptimizerBackup | None = None
        self.evaluations = 0
        self.last_bad = False
        self.inner = 0
        self.outer: _Call | None = None


def _bare(step: Any) -> Any:
    """The step that a class has written, under all that torch has laid on it: with the first compilation in a process
    it lays something on LBFGS and SparseAdam that has the marks of the hooked step below."""
    while getattr(step, "hooked", False) and hasattr(step, "__wrapped__"):
        step = step.__wrapped__
    return step


class StepTap:
    """Hooks on every optimizer step of the process; the observer says which optimizers it wants.

    The hooks are the process' and not one optimizer's: a wrapper that delegates to an inner optimizer is lost only if
    the inner step is lost with it.

    Args:
        observer: who is asked.
        on_error: receives errors of ours.
    """

    def __init__(self, observer: StepObserver, on_error: Callable[[BaseException], None]) -> None:
        self._observer = observer
        self._on_error = on_error
        self._handles: list[RemovableHandle] = []
        self._local = threading.local()
        self._evaluations: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()

    def install(self) -> None:
        """Start watching."""
        self._original_hooking = Optimizer.profile_hook_step
        Optimizer.profile_hook_step = staticmethod(_losable(self._original_hooking, self._raised))  # pyright: ignore[reportAttributeAccessIssue]
        self._handles.append(register_optimizer_step_pre_hook(self._pre))
        self._handles.append(register_optimizer_step_post_hook(self._post))

        kind: Any
        for kind in _descendants(Optimizer):
            step: Any = vars(kind).get("step")
            if getattr(step, "hooked", False) and LOST not in vars(step) and hasattr(step, "__wrapped__"):
                renewed: Any = Optimizer.profile_hook_step(_bare(step))
                if getattr(step, "_torchdynamo_disable", False):
                    renewed = torch._dynamo.disable(renewed)
                renewed.hooked = True
                kind.step = renewed

    def adopt(self, optimizer: Optimizer) -> None:
        """Make torch call the hooks of an optimizer that has never called `Optimizer.__init__` (some wrappers)."""
        if not getattr(type(optimizer).step, "hooked", False):
            for name in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
                vars(optimizer).setdefault(name, OrderedDict())
            optimizer._patch_step_function()

    def remove(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        Optimizer.profile_hook_step = staticmethod(self._original_hooking)

    @property
    def _active(self) -> _Call | None:
        return getattr(self._local, "call", None)

    @_active.setter
    def _active(self, call: _Call | None) -> None:
        self._local.call = call

    def _pre(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if torch.compiler.is_compiling():
                return None
            frame, outer = sys._getframe(1), self._active
            if outer is not None and not on_stack(outer.frame, frame):
                outer = self._active = None  # that step raised and never came to its end
            if outer is not None and outer.optimizer is optimizer:
                outer.inner += 1  # a subclass calls `super().step()`: the same step
                return None
            if outer is not None and _share(outer.optimizer, optimizer):
                # A wrapper delegates to this optimizer: one step, judged once, and lost as a whole.
                return _lose(optimizer, args, kwargs, frame) if outer.lost else None
            if not self._observer.wants(optimizer):
                self._observer.passed_by()
                return None
            return self._enter(optimizer, args, kwargs, frame)
        except Exception as error:
            self._on_error(error)
            return None

    def _enter(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType) -> Any:
        call = _Call(optimizer, frame)
        call.outer, self._active = self._active, call
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if callable(closure):
            if self._observer.acts:
                often = self._evaluates_often(optimizer)
                call.losable = LOST in getattr(frame.f_locals.get("func"), "__dict__", {})
                # What cannot be left from inside its closure runs to its end, and may move what has no gradient.
                foreign = not call.losable and not type(optimizer).__module__.startswith("torch.optim")
                call.backup = OptimizerBackup(optimizer, params=often or foreign, state=often or foreign)
            watched = self._watch_closure(call, closure)
            if "closure" in kwargs:
                return args, {**kwargs, "closure": watched}
            return (optimizer, watched, *args[2:]), kwargs
        call.lost = self._observer.before(optimizer, None, frame.f_back, may_clip=True).lose
        return _lose(optimizer, args, kwargs, frame) if call.lost else None

    def _evaluates_often(self, optimizer: Optimizer) -> bool:
        """Whether a step may call its closure more than once, so that only a copy from before can undo it."""
        return isinstance(optimizer, torch.optim.LBFGS) or self._evaluations.get(optimizer, 2) > 1

    def _watch_closure(self, call: _Call, closure: Callable[[], Any]) -> Callable[[], Any]:
        @functools.wraps(closure)
        def watched() -> Any:
            loss = closure()
            if call.frame is None or not on_stack(call.frame, sys._getframe()):
                return loss  # called when the step is over: by whom it was kept
            try:
                self._evaluated(call, loss)
            except Exception as error:
                self._on_error(error)
            if call.lost and call.losable:
                raise _LeaveStep(call.optimizer, loss)
            return loss

        return watched

    def _evaluated(self, call: _Call, loss: Any) -> None:
        optimizer = call.optimizer
        call.evaluations += 1
        if call.evaluations == 1:
            # What is clipped here would make a line search compare a function with another one's slope.
            clippable = self._evaluations.get(optimizer, 1) == 1 and not isinstance(optimizer, torch.optim.LBFGS)
            frame = call.frame.f_back if call.frame is not None else None
            call.lost = self._observer.before(optimizer, loss, frame, may_clip=clippable).lose
            if call.lost and not call.losable:
                call.hidden = HiddenGradients(_params(optimizer))
            return
        grads = [param.grad for param in _params(optimizer) if param.grad is not None]
        call.last_bad = any_nonfinite(grads) or (isinstance(loss, Tensor) and any_nonfinite([loss]))
        if call.lost and not call.losable:
            HiddenGradients(_params(optimizer))

    def _post(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        vars(optimizer).pop(LOST, None)
        call = self._active
        if call is None or call.optimizer is not optimizer:
            return
        if call.inner:
            call.inner -= 1
            return
        try:
            self._leave(call)
        except TrainingDiverged:
            raise
        except Exception as error:
            self._on_error(error)
        finally:
            call.frame = None
            self._active = call.outer

    def _raised(self, optimizer: Optimizer) -> None:
        try:
            self._observer.raised(optimizer)
        except Exception as error:
            self._on_error(error)

    def _leave(self, call: _Call) -> None:
        optimizer, undone = call.optimizer, False
        if call.evaluations:
            self._evaluations[optimizer] = max(call.evaluations, self._evaluations.get(optimizer, 1))
        if call.evaluations > 1 and not call.lost and call.backup is not None:
            call.lost = undone = call.last_bad or any_nonfinite(_params(optimizer))
        if call.lost:
            if call.backup is not None:
                call.backup.restore_()
            if call.hidden is not None:
                call.hidden.put_back_zeroed()
            zero_([param.grad for param in _params(optimizer) if param.grad is not None])
        if undone:
            self._observer.undone(optimizer)
        self._observer.after(optimizer, lost=call.lost)


def _params(optimizer: Optimizer) -> list[Tensor]:
    return [param for group in optimizer.param_groups for param in group["params"]]


LOST = "_steadygrad_lost"
"""On an optimizer while its step is being lost."""


class _LeaveStep(BaseException):
    """Leaves a step from inside its closure: the optimizer's own code does not go on. Not for `except Exception`."""

    def __init__(self, optimizer: Optimizer, loss: Any) -> None:
        super().__init__("a step that is lost")
        self.optimizer = optimizer
        self.loss = loss


def _losable(original: Callable[[Any], Any], raised: Callable[[Optimizer], None]) -> Callable[[Any], Any]:
    """Make torch's hooking of `step` leave out the step itself when it is to be lost, and say when it has raised.

    Not running an optimizer's code is the truest way to lose its step. Where a wrapper from before is still in use (a
    scheduler made earlier holds one), the step runs on a hollow copy.
    """

    @functools.wraps(original)
    def profile_hook_step(func: Any) -> Any:
        @functools.wraps(func)
        def maybe(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
            if LOST in vars(self):
                return None
            try:
                return func(self, *args, **kwargs)
            except _LeaveStep as leave:
                if leave.optimizer is self:
                    return leave.loss
                raise
            except BaseException:
                raised(self)
                raise

        maybe.__dict__[LOST] = True
        return original(maybe)

    return profile_hook_step


def _descendants(kind: type) -> list[type]:
    found = [kind]
    for each in found:
        found.extend(child for child in each.__subclasses__() if child not in found)
    return found


def _lose(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType) -> Any:
    """What the pre-hook returns to lose a step whose wrapper runs in `frame`."""
    if LOST in getattr(frame.f_locals.get("func"), "__dict__", {}):
        vars(optimizer)[LOST] = True
        return None
    return (hollow(optimizer), *args[1:]), kwargs


def _share(outer: Optimizer, inner: Optimizer) -> bool:
    """Whether two optimizers have a parameter in common: a delegate has, one inside another's closure has not."""
    return bool({id(param) for param in _params(outer)} & {id(param) for param in _params(inner)})


def on_stack(outer: FrameType | None, frame: FrameType | None) -> bool:
    """Whether `outer` is still running: a step that raised never reaches its post-hook."""
    while frame is not None:
        if frame is outer:
            return True
        frame = frame.f_back
    return False
