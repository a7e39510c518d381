"""Where interventions touch a process: optimizers, outermost module calls, backward passes, steps."""

import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .._tap import LIMITS, ClipTap, OwnUpdates, leaves_of, on_stack, params_of, quiet_depth
from ..guard import HiddenGradients
from .intervention import Intervention
from .reparametrised import Reparametrisation
from .replaced import Replaced
from .resumed import state_of
from .tried import uncounted


class Applied:
    """Interventions on everything that this process trains; ends with `remove()` or with its `with` block.

    Where a script makes no optimizer, the gradients after each backward pass are taken for those of a step.

    Args:
        interventions: what is to be done, in this order.
        clips: what sees torch's clipping functions, where a training is going on that may hold them by now; None puts
            something of our own in their place.
        steps: whether to lie on optimizer steps; else `before_step` and `after_step` are called by somebody who does so
            already: hooks cannot be added or taken away while one of them is running.
        alone: whether everything that happens is a trial of ours, at which our watchers do not look.
        resumed: whether weights are no longer those of the start: nothing is a first pass.

    Attributes:
        on_backward: is told each loss, as the script has it, that is differentiated.
        on_step: is told that a step is over.
        on_error: is told an error of an intervention, where a training must go on as if there were none; without it
            the error is raised.
    """

    def __init__(
        self,
        interventions: Sequence[Intervention],
        clips: ClipTap | None = None,
        *,
        steps: bool = True,
        alone: bool = False,
        resumed: bool = False,
    ) -> None:
        self._interventions = list(interventions)
        self._called: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._handles: list[Any] = []
        self._undo: list[Callable[[], None]] = []
        self._hidden: dict[int, HiddenGradients] = {}
        self._local = threading.local()
        self._optimizers = 0
        self._stand_in: OwnUpdates | None = None
        self._stand_ins: dict[tuple[torch.Size, ...], OwnUpdates] = {}
        self._trained = False
        self._installed = False
        self._clips = clips
        self._steps = steps
        self._resumed = resumed
        self._alone = alone
        self._quiet = 0
        self._scaler: weakref.ref[Any] | None = None
        self._scaled: tuple[Tensor | None, Tensor | None] = (None, None)
        self.on_backward: Callable[[Tensor], None] | None = None
        self.on_step: Callable[[int], None] | None = None
        self.on_error: Callable[[Exception], None] | None = None
        self._numbers: dict[int, int] = {}
        self._running: list[tuple[Optimizer, FrameType]] = []

    def __enter__(self) -> "Applied":
        self.install()
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    def install(self) -> None:
        """Put everything in place, before the script makes its model."""
        self._installed = True
        self._quiet = quiet_depth() if self._alone else 0
        self._watch_construction()
        self._watch_backward()
        self._watch_grad()
        self._watch_scaler()
        self._watch_clips()
        self._watch_calls()
        if self._steps:
            self._handles += [
                register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: self._step_begins(optimizer)),
                register_optimizer_step_post_hook(lambda optimizer, args, kwargs: self._step_ends(optimizer)),
            ]
        for each in self._interventions:
            each.begin()

    @property
    def times(self) -> int:
        """How often anything was changed."""
        return sum(each.times for each in self._interventions)

    def state_of(self, params: Sequence[Tensor]) -> list[dict[str, Any]]:
        """What a checkpoint has to know of it, for these parameters."""
        return [state_of(each, params) for each in self._interventions if isinstance(each, Reparametrisation)]

    def adopt(self, optimizer: Optimizer, loose: nn.Module | None = None) -> None:
        """An optimizer that was made before, and what is computed of parameters of its that no module has."""
        if isinstance(optimizer, OwnUpdates):
            leaves = params_of(optimizer)
            self._stand_in = self._stand_ins[tuple(leaf.shape for leaf in leaves)] = optimizer
        else:
            self._optimizers += 1
        self._tell_of(optimizer)
        if loose is not None:
            self._enter_call(loose, (), {})

    def _tell_of(self, optimizer: Optimizer) -> None:
        for each in self._interventions:
            self._safely(lambda each=each: each.optimizer_made(optimizer), None)

    def remove(self) -> None:
        """Let go of the process. A second call does nothing."""
        if not self._installed:
            return
        self._installed = False
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        for each in self._interventions:
            each.end()

    def stay(self, optimizer: Optimizer | None) -> None:
        """Whoever tells of steps is gone, and everything goes on as it is.

        Hooks of the optimizer's own may be added while those of the process run.
        """
        self.on_error = lambda error: self.remove()
        if optimizer is not None and not isinstance(optimizer, OwnUpdates):
            self._handles += [
                optimizer.register_step_pre_hook(lambda one, args, kwargs: self.before_step(one)),
                optimizer.register_step_post_hook(lambda one, args, kwargs: self.after_step(one)),
            ]

    def leave(self, optimizer: Optimizer | None) -> None:
        """Let go of the process, but for what the state of this optimizer depends on by now."""
        kept = [kept for each in self._interventions if (kept := each.outlives()) is not None]
        self.remove()
        if optimizer is not None and not isinstance(optimizer, OwnUpdates):
            go_on(optimizer, kept)

    def _passes_by(self) -> bool:
        """Whether what happens is computed by us, and no part of a training: not of one that is our trial either."""
        return quiet_depth() > self._quiet

    # What the process does.

    def _watch_construction(self) -> None:
        original = Optimizer.__init__

        def __init__(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            if not isinstance(optimizer, OwnUpdates):
                self.adopt(optimizer)

        self._replace(Optimizer, "__init__", __init__)

    def _watch_backward(self) -> None:
        original = torch.autograd.backward

        def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> None:
            single = tensors if isinstance(tensors, Tensor) else None
            if single is None and isinstance(tensors, (list, tuple)) and len(tensors) == 1:
                single = tensors[0]
            if single is None or single.numel() != 1 or self._passes_by():
                return original(tensors, grad_tensors, *args, **kwargs)
            factor = self._enter_backward(single)
            if factor != 1.0:
                given = grad_tensors[0] if isinstance(grad_tensors, (list, tuple)) else grad_tensors
                seed = torch.ones_like(single) if given is None else given
                grad_tensors = seed * factor
            original(single, grad_tensors, *args, **kwargs)
            self._leave_backward()
            return None

        self._replace(torch.autograd, "backward", backward)

    def _watch_scaler(self) -> None:
        original = torch.amp.GradScaler.scale

        def scale(scaler: Any, outputs: Any) -> Any:
            scaled = original(scaler, outputs)
            self._scaler = weakref.ref(scaler)
            if isinstance(scaled, Tensor):
                self._scaled = scaled, outputs
            return scaled

        self._replace(torch.amp.GradScaler, "scale", scale)

    def _watch_clips(self) -> None:
        if self._clips is not None:
            self._clips.before.append(self._before_clip)
            self._clips.after.append(self._after_clip)
            self._undo.append(self._let_go_of_clips)
            return
        for name in LIMITS:
            self._replace(torch.nn.utils, name, self._told_of(getattr(torch.nn.utils, name)))

    def _told_of(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def clip(parameters: Any, *args: Any, **kwargs: Any) -> Any:
            clipped = [parameters] if isinstance(parameters, Tensor) else list(parameters)
            self._before_clip(clipped)
            try:
                return original(clipped, *args, **kwargs)
            finally:
                self._after_clip(clipped)

        return clip

    def _before_clip(self, params: Sequence[Tensor]) -> None:
        scaler = None if self._scaler is None else self._scaler()
        for each in self._interventions:
            self._safely(lambda each=each: each.before_clip(scaler, params), None)

    def _after_clip(self, params: Sequence[Tensor]) -> None:
        for each in self._interventions:
            self._safely(lambda each=each: each.after_clip(params), None)

    def _let_go_of_clips(self) -> None:
        if self._clips is not None:
            self._clips.before.remove(self._before_clip)
            self._clips.after.remove(self._after_clip)

    def _watch_grad(self) -> None:
        original = torch.autograd.grad

        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            several = [inputs] if isinstance(inputs, Tensor) else list(inputs)
            plain = isinstance(outputs, Tensor) and outputs.numel() == 1 and not args and not kwargs.get("create_graph")
            trains = plain and not self._optimizers and all(each.is_leaf for each in several)
            if not trains or self._passes_by():
                return original(outputs, several, *args, **kwargs)
            there = [leaf.grad for leaf in several]
            factor = self._enter_backward(outputs)  # before the pass: it frees what the graph has saved
            try:
                result = original(outputs, several, *args, **kwargs)
                for leaf, value in zip(several, result, strict=True):
                    leaf.grad = None if value is None else value * factor
                self._leave_backward(several)
                return tuple(leaf.grad for leaf in several)
            finally:
                for leaf, grad in zip(several, there, strict=True):
                    leaf.grad = grad

        self._replace(torch.autograd, "grad", grad)

    def _enter_backward(self, loss: Tensor) -> float:
        scaled, raw = self._scaled
        self._scaled = (None, None)
        if self.on_backward is not None:
            self.on_backward(raw if scaled is loss and raw is not None else loss)
        if not self._optimizers:
            leaves = leaves_of(loss)
            if leaves:
                self._stand_for(leaves)
        factor = 1.0
        for each in self._interventions:
            factor *= self._safely(lambda each=each: each.factor(loss), 1.0)
        return factor

    def _stand_for(self, leaves: list[Tensor]) -> None:
        """What trains these leaves; those that a script makes anew at each step are known by their shapes."""
        shapes = tuple(leaf.shape for leaf in leaves)
        known = self._stand_ins.get(shapes)
        if known is None:
            known = self._stand_ins[shapes] = OwnUpdates(leaves, lr=1.0)
        known.param_groups[0]["params"] = leaves
        if known is not self._stand_in:
            self._stand_in = known
            self._tell_of(known)

    def _leave_backward(self, leaves: Sequence[Tensor] = ()) -> None:
        if self._optimizers or self._stand_in is None:
            return
        # The script's own lines that follow are the step.
        self._trained = True
        own = self._stand_in
        wanted = [self._safely(lambda each=each: each.before_step(own), False) for each in self._interventions]
        if any(wanted):
            for leaf in leaves or params_of(self._stand_in):
                if leaf.grad is not None:
                    leaf.grad.zero_()
        if self.on_step is not None:
            self.on_step(0)

    def _watch_calls(self) -> None:
        original = nn.Module.__call__

        def __call__(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():
                return original(module, *args, **kwargs)  # what we do is no part of what is compiled
            depth = getattr(self._local, "depth", 0)
            if not depth and not self._passes_by() and next(module.parameters(), None) is not None:
                args, kwargs = self._enter_call(module, args, kwargs)
            self._local.depth = depth + 1
            try:
                return original(module, *args, **kwargs)
            finally:
                self._local.depth = depth

        self._replace(nn.Module, "__call__", __call__)

    def _enter_call(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self._local.depth = 1  # what an intervention computes is no call of the script
        first = not self._resumed and module not in self._called and self._is_untouched(module)
        try:
            for each in self._interventions:
                given = args, kwargs
                args, kwargs = self._safely(lambda each=each, given=given: each.forward(module, *given), given)
                if first:
                    given = args, kwargs
                    with uncounted(module.parameters()):
                        self._safely(lambda each=each, given=given: each.first_forward(module, *given), None)
            if first:
                self._called.update(module.modules())
        finally:
            self._local.depth = 0
        return args, kwargs

    def _is_untouched(self, module: nn.Module) -> bool:
        """Whether its weights are there, and are those of the start: no part of it was trained as another's part."""
        if any(is_lazy(param) for param in module.parameters()):
            return False
        return not self._trained or not any(part in self._called for part in module.modules())

    def _step_begins(self, optimizer: Optimizer) -> None:
        """A subclass that calls `super().step()` makes one step, not two."""
        frame = sys._getframe(2)
        self._running = [each for each in self._running if on_stack(each[1], frame)]  # what raised has never ended
        nested = any(each is optimizer for each, _ in self._running)
        self._running.append((optimizer, frame))
        if not nested:
            self.before_step(optimizer)

    def _step_ends(self, optimizer: Optimizer) -> None:
        if self._running:
            self._running.pop()
        if not any(each is optimizer for each, _ in self._running):
            self.after_step(optimizer)

    def before_step(self, optimizer: Any) -> None:
        """Gradients are there, and the step is about to be made."""
        if isinstance(optimizer, OwnUpdates) or self._passes_by():
            return
        wanted = [self._safely(lambda each=each: each.before_step(optimizer), False) for each in self._interventions]
        if any(wanted):
            # Optimizers leave a parameter without a gradient alone: moments and counters stay as they are.
            self._hidden[id(optimizer)] = HiddenGradients(params_of(optimizer))

    def settle(self) -> None:
        """The first step is about to be made, and before it a state is kept to go back to."""
        for each in self._interventions:
            self._safely(each.settle, None)

    def step_aside(self) -> None:
        """A pass is computed again: weights are to be as the script has them."""
        for each in self._interventions:
            self._safely(each.step_aside, None)

    def step_back(self) -> None:
        """It is done."""
        for each in self._interventions:
            self._safely(each.step_back, None)

    def after_step(self, optimizer: Any) -> None:
        """The step is over."""
        if isinstance(optimizer, OwnUpdates) or self._passes_by():
            return
        hidden = self._hidden.pop(id(optimizer), None)
        if hidden is not None:
            hidden.put_back_zeroed()
        self._trained = True
        for each in self._interventions:
            self._safely(lambda each=each: each.after_step(optimizer), None)
        if self.on_step is not None:
            self.on_step(self._numbers.setdefault(id(optimizer), len(self._numbers)))

    def _safely(self, call: Callable[[], Any], otherwise: Any) -> Any:
        if self.on_error is None:
            return call()
        try:
            return call()
        except Exception as error:
            self.on_error(error)
            return otherwise

    def _replace(self, owner: Any, name: str, wrapper: Any) -> None:
        self._undo.append(Replaced(owner, name, wrapper).undo)


def go_on(optimizer: Optimizer, kept: Sequence[Intervention]) -> list[Any]:
    """Let each do its part in every step of an optimizer, as long as there is one, or until the handles are removed."""
    begin = [optimizer.register_step_pre_hook(lambda one, args, kwargs, each=each: _begin(each, one)) for each in kept]
    end = [
        optimizer.register_step_post_hook(lambda one, args, kwargs, each=each: each.after_step(one))
        for each in reversed(kept)
    ]
    return [*begin, *end]


def _begin(kept: Intervention, optimizer: Optimizer) -> None:
    """A hook that returns anything would be taken to change the arguments."""
    kept.before_step(optimizer)
