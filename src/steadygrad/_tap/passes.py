"""Keeps the last passes of a training, so that they can be computed again once something has gone wrong."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack, _push_mode
from torch.utils._device import DeviceContext
from torch.utils.hooks import RemovableHandle

from .._clock import own_seconds
from .._recorded import recorded
from ..measure.overrides import leave_mode
from .inert import InertHook
from .quiet import is_quiet
from .tape import Tape, tensors_within
from .taped import TapedPass

MOST = 4096
"""Functions between model and loss; a script that makes more computes something else there."""

SHARE = 0.004
"""The part of training time that taping may take."""

CHEAP = 250e-6
"""Seconds that a pass may take in any case: training that has shorter steps is over before anyone waits for it."""

FREE = 0.3
"""Seconds that taping may take in any case, once: in a short training nobody waits for them."""

FIRST = 8
"""Passes that are always taped: most that goes wrong does so at once."""

UNSEEN = 4
"""Losses from elsewhere for which their models are looked for, one level further inside each time."""

CONTAINERS = (nn.ModuleList, nn.ModuleDict)
"""Modules that nobody calls."""

KEPT = 4
"""Passes of one step that are kept, where several are accumulated."""


class PassTap:
    """Lies on the outermost models, and tapes what follows them up to the backward pass.

    Args:
        on_error: receives errors of ours.

    Attributes:
        why_not: why the last pass is not on tape; "" if it is.
        wanted: passes that are to be taped whatever they cost.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._on_error = on_error
        self._handles: dict[int, list[RemovableHandle]] = {}
        self._followed: list[nn.Module] = []
        self._entered: set[int] = set()
        self._unsure: dict[int, tuple[nn.Module, list[nn.Module]]] = {}
        self._depth = 0
        self._tape = Tape(MOST)
        self._ended = self._tape
        self._random: Tensor | None = None
        self._given: tuple[Any, dict[str, Any], tuple[tuple[Tensor, int], ...]] | None = None
        self._passes: deque[TapedPass] = deque(maxlen=KEPT)
        self._before: list[TapedPass] = []
        self._count = 0
        self._seen = 0
        self._spent = 0.0
        self._began = own_seconds()
        self.wanted = 0
        self._declined = False
        """Whether the pass that is being made is not taped: the rest of it alone could not be computed again."""
        self._modules_own_all = True
        self._tries = UNSEEN
        self.on_unseen: Callable[[Tensor], None] = lambda loss: None
        """Is told a loss, a few times at most, that came from no module which is followed."""
        self._updated: frozenset[int] = frozenset()
        self.why_not = recorded("no pass was seen")

    def follow(self, roots: Iterable[nn.Module]) -> None:
        """Lie on these modules too; and on their parts, until it is seen whether a script calls the modules or those.

        Nobody calls a LightningModule, or a flow whose method is the loss: it is their parts that are called.
        """
        for root in roots:
            if self._lie_on(root):
                self._unsure[id(root)] = root, [part for part in _parts_of(root) if self._lie_on(part)]

    def follow_parts(self) -> None:
        """Lie on the parts of those that nobody has called."""
        for module in list(self._followed):
            if id(module) not in self._entered:
                for part in _parts_of(module):
                    self._lie_on(part)

    def _lie_on(self, module: nn.Module) -> bool:
        if id(module) in self._handles or _is_compiled(module):
            return False
        self._followed.append(module)
        self._handles[id(module)] = [
            module.register_forward_pre_hook(InertHook(self._enter), with_kwargs=True),
            module.register_forward_hook(InertHook(self._leave), always_call=True),
        ]
        return True

    def _settle(self) -> None:
        """Let go of the parts of modules that a script calls as a whole."""
        for key, (root, parts) in list(self._unsure.items()):
            if id(root) in self._entered:
                del self._unsure[key]
                for part in parts:
                    if id(part) not in self._entered:
                        for handle in self._handles.pop(id(part)):
                            handle.remove()
                        self._followed = [each for each in self._followed if each is not part]

    def follow_functions(self) -> None:
        """There are parameters that no module owns: the functions that use them are looked at from step to step."""
        self._modules_own_all = False
        self._begin_functions()

    def pause(self) -> None:
        """What runs from here on is ours, until the next pass begins."""
        self._leave_modes()

    def updates_follow(self, weights: Sequence[Tensor]) -> None:
        """A script that updates these weights itself is about to do so: what it computes then is the next pass."""
        if self._modules_own_all:
            return
        with torch._C.DisableTorchFunction():
            self._updated = frozenset(each.untyped_storage().data_ptr() for each in weights)
        self._begin_functions()

    def remove(self) -> None:
        """Let go of the modules and of everything kept."""
        for handles in self._handles.values():
            for handle in handles:
                handle.remove()
        self._handles.clear()
        self._followed.clear()
        self._unsure.clear()
        self._leave_modes()
        self._tape = self._ended = Tape(MOST)
        self._given = None
        self._passes.clear()
        self._before.clear()

    def conclude(self, loss: Tensor) -> None:
        """A backward pass begins at this loss: what led to it is complete."""
        began = own_seconds()
        self._leave_modes()
        if self._unsure:
            self._settle()
        tape, random = self._tape, self._random
        self._declined = False
        if tape.entries or tape.broken:
            self._tape, self._random = Tape(MOST), None
            self._count += 1
            self.why_not = tape.broken
            if not tape.broken:
                self._passes.append(TapedPass(tape.entries, loss, tape.place_of(loss), random))
            tape.end()
            self._ended = tape
        elif self._tries:
            self._tries -= 1
            self.on_unseen(loss)
        self._spent += tape.spent + own_seconds() - began

    def passes(self) -> list[TapedPass]:
        """Those of the step that is being made, oldest first."""
        self._leave_modes()
        return list(self._passes)

    def before(self) -> list[TapedPass]:
        """Those of the step before."""
        return self._before

    def stepped(self) -> None:
        """The step is over: its passes are those of the step before from now on."""
        self._leave_modes()
        if self._passes:
            self._before = list(self._passes)
        self._passes.clear()
        self._declined = False
        if not self._modules_own_all and not self._updated:
            self._begin_functions()

    def _begin_functions(self) -> None:
        self._leave_modes()
        if not self._affordable() or not _may_push():
            self.why_not = recorded("taping every pass would have cost too much")
            return
        self._tape, self._random = Tape(MOST, self._updated, self._after_update), torch.get_rng_state()
        _push_mode(self._tape)

    def _after_update(self) -> None:
        self._random = torch.get_rng_state()

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_quiet() or torch.compiler.is_compiling() or _in_backward():
            return
        self._depth += 1
        if self._depth == 1:
            self._entered.add(id(module))
        if self._depth > 1 or not torch.is_grad_enabled():
            return
        try:
            if self._modules_own_all:
                self._leave_modes()
            self._given = None
            if not self._modules_own_all:
                return  # the functions inside are on the tape
            if self._declined or not (self._tape.entries or self._affordable()):
                self._declined = True
                self.why_not = recorded("taping every pass would have cost too much")
                return
            if self._random is None:
                self._random = torch.get_rng_state()
            tensors = [tensor for tensor in tensors_within((args, kwargs)) if not tensor.is_inference()]
            self._given = args, kwargs, tuple((tensor, tensor._version) for tensor in tensors)
        except Exception as error:
            self._on_error(error)

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if is_quiet() or torch.compiler.is_compiling() or _in_backward():
            return
        self._depth = max(0, self._depth - 1)
        if self._depth or self._given is None:
            return
        try:
            began = own_seconds()
            (given, kwargs, versions), self._given = self._given, None
            if output is None or self._tape.broken:
                return
            self._tape.add(module, given, kwargs, output, versions)
            if not _may_push():
                self._tape.give_up(recorded("a mode of torch's is on"))
            if not self._tape.broken:
                _push_mode(self._tape)
            self._spent += own_seconds() - began
        except Exception as error:
            self._on_error(error)

    def _leave_modes(self) -> None:
        # `Tensor.backward` is a function of torch itself: while it runs its mode is off, and back on afterwards.
        leave_mode(self._tape)
        leave_mode(self._ended)

    def _affordable(self) -> bool:
        self._seen += 1
        if self._count < FIRST or self.wanted:
            self.wanted = max(0, self.wanted - 1)
            return True
        allowed = SHARE * (own_seconds() - self._began) + CHEAP * self._seen
        return self._spent < max(FREE, allowed)


def _parts_of(module: nn.Module) -> Iterator[nn.Module]:
    """The modules directly inside of one that train something; of containers theirs.

    What computes a weight is none: it is called by whoever reads the weight.
    """
    for name, part in module.named_children():
        if name == "parametrizations":
            continue
        if isinstance(part, CONTAINERS):
            yield from _parts_of(part)
        elif next(part.parameters(), None) is not None:
            yield part


def _in_backward() -> bool:
    """Whether a backward pass is running: a model that is called there is computed again, or solves an equation."""
    return torch._C._current_graph_task_id() != -1


def _may_push() -> bool:
    """Whether a mode of ours can lie at the bottom: one on top of a user's would be taken off in its place."""
    return all(isinstance(mode, DeviceContext) for mode in _get_current_function_mode_stack()) and not has_compiled()


def has_compiled() -> bool:
    """Whether anything was compiled: compiled code is guarded against modes, and would be compiled again."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    return any(backend is not None for backend in getattr(dynamo, "cached_backends", {}).values())


def _is_compiled(root: nn.Module) -> bool:
    return isinstance(root, torch.jit.ScriptModule) or any(
        m._compiled_call_impl is not None or "_orig_mod" in m._modules for m in root.modules()
    )
