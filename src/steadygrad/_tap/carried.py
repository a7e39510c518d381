"""A recurrent state carried from a bad batch into the next one: found at the entry of the model, and cleared.

A stateful loop keeps `hidden` from batch to batch. If the batch whose step was skipped left NaN in it, every later
step is lost, however often the step is skipped. Nothing is paid until a step has been skipped.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.hooks import RemovableHandle

from .._readback import any_nan
from .inert import InertHook
from .quiet import is_quiet

PATIENCE = 64
"""Steps without a call of the model after which looking ends: its `forward` is not what this script calls."""


class CarriedState:
    """Armed by a skipped step, until a step is accepted again.

    While armed, the outermost call into the modules is looked at: an argument behind the first one (the data) that
    holds a NaN and looks like something the model returned is a carried state; it and the tensors beside it in the
    same tuple are replaced by zeros. "Looks like" means as many dimensions and the same last one: batch sizes vary.
    What the model returns is learned from one call. States that a module keeps as plain attributes are cleared when
    the step is skipped. Infinities are left alone: masks are made of them.

    A healthy run is learned from through hooks of the process, so that no module of the user's is touched. Only while
    armed do hooks lie on the modules (torch has none for the process that sees keyword arguments).

    Args:
        roots: the modules that own the skipped optimizer's parameters.
        on_cleared: called with a description when something was cleared.
        on_error: receives errors of ours.
    """

    def __init__(
        self,
        roots: Sequence[nn.Module],
        on_cleared: Callable[[str], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._on_cleared = on_cleared
        self._on_error = on_error
        modules = {id(module): module for root in roots for module in root.modules()}
        self._modules = {key: m for key, m in modules.items() if not isinstance(m, torch.jit.ScriptModule)}
        self._handles: list[RemovableHandle] = []
        self._depth = 0
        self._waited = 0
        self._returned: set[tuple[int, int]] = set()
        self.armed = False

    def learn(self) -> None:
        """Look at the next call, once, for what the model returns."""
        if not self._handles:
            self._depth = 0
            self._handles.append(register_module_forward_pre_hook(self._pass))
            self._handles.append(register_module_forward_hook(self._leave, always_call=True))

    def arm(self) -> None:
        """Clear states kept as attributes and look at the coming calls."""
        for module in self._modules.values():
            self._clear_attributes(module)
        self._waited = 0
        if self.armed:
            return
        self.armed = True
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._depth = 0
        for module in self._modules.values():
            self._handles.append(module.register_forward_pre_hook(InertHook(self._enter), with_kwargs=True))
            self._handles.append(module.register_forward_hook(InertHook(self._leave), always_call=True))

    def stepped(self) -> None:
        """A step is over: looking does not go on for ever in a script that never calls the model itself."""
        self._waited += 1
        if self._waited > PATIENCE:
            self.disarm()

    def disarm(self) -> None:
        """Stop looking."""
        self.armed = False
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _pass(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if not is_quiet() and not torch.compiler.is_compiling() and id(module) in self._modules:
            self._depth += 1

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_quiet() or torch.compiler.is_compiling():
            return None
        self._depth += 1
        if self._depth > 1:
            return None
        try:
            cleared = False
            arguments = list(args)
            for place, argument in enumerate(args):
                if place > 0 and self._is_state(argument):
                    arguments[place], cleared = _zeros_like(argument), True
            options = dict(kwargs)
            for name, argument in kwargs.items():
                if self._is_state(argument):
                    options[name], cleared = _zeros_like(argument), True
            if not cleared:
                return None
            self._on_cleared(f"an argument of {type(module).__name__}")
            return tuple(arguments), options
        except Exception as error:
            self._on_error(error)
            return None

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if is_quiet() or torch.compiler.is_compiling() or id(module) not in self._modules:
            return
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._returned.update(_look(tensor) for tensor in _floats(output))
            if not self.armed:
                self.disarm()

    def _is_state(self, argument: Any) -> bool:
        tensors = list(_floats(argument))
        return any(_look(tensor) in self._returned for tensor in tensors) and any_nan(tensors)

    def _clear_attributes(self, module: nn.Module) -> None:
        for name, value in list(vars(module).items()):
            if name in {"_parameters", "_buffers", "_modules"}:
                continue
            tensors = list(_floats(value))
            # A layer may hold its weights a second time, as torch's recurrent ones do: they are no state.
            own = any(tensor.is_leaf and tensor.requires_grad for tensor in tensors)
            if tensors and not own and any_nan(tensors):
                setattr(module, name, _zeros_like(value))
                self._on_cleared(f"{type(module).__name__}.{name}")


def _look(tensor: Tensor) -> tuple[int, int]:
    return tensor.ndim, tensor.shape[-1] if tensor.ndim else 0


def _floats(thing: Any) -> Iterator[Tensor]:
    if isinstance(thing, Tensor):
        if thing.is_floating_point() or thing.is_complex():
            yield thing
    elif isinstance(thing, (list, tuple)):
        for item in thing:
            yield from _floats(item)
    elif isinstance(thing, dict):
        for item in thing.values():
            yield from _floats(item)


def _zeros_like(thing: Any) -> Any:
    if isinstance(thing, Tensor):
        floating = thing.is_floating_point() or thing.is_complex()
        return torch.zeros_like(thing, requires_grad=thing.requires_grad and thing.is_leaf) if floating else thing
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return type(thing)(*(_zeros_like(item) for item in thing))
    if isinstance(thing, (list, tuple)):
        return type(thing)(_zeros_like(item) for item in thing)
    if isinstance(thing, dict):
        return {key: _zeros_like(item) for key, item in thing.items()}
    return thing
