"""Looking at a model without leaving a trace."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .._random_state import random_state, restore_random_state

TORCHS = frozenset(nn.Module().__dict__)
"""What torch itself keeps of a module: its tables of parts and hooks are its own affair."""


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """What happens inside leaves buffers, gradients, modes, attributes and random number generators as they were.

    Inside there are no gradients at first. Parameters are not put back. What `torch.compile` has compiled runs
    uncompiled: hooks and modes see it all.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> with undisturbed(norm):
        ...     _ = norm(torch.randn(4, 2))
        >>> norm.running_mean.tolist()
        [0.0, 0.0]
    """
    state = ModelState(model)
    grads = [(param, param.grad) for param in model.parameters()]
    for param, _ in grads:
        param.grad = None
    try:
        with torch.compiler.set_stance("force_eager") if _is_compiled(model) else nullcontext():
            yield
    finally:
        state.restore()
        for param, grad in grads:
            param.grad = grad


def _is_compiled(model: nn.Module) -> bool:
    return any(m._compiled_call_impl is not None or "_orig_mod" in m._modules for m in model.modules())


class ModelState:
    """What a forward pass may change beside the parameters, and the state of the random number generators."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = [m for m in model.modules() if not isinstance(m, torch.jit.ScriptModule) and not _is_lazy(m)]
        # It puts back a hidden state that a module keeps, its mode, and what hooks of others have written down there.
        owners = [*self._modules, *(param for param in model.parameters() if not is_lazy(param))]
        self._attributes = [_Attributes(owner.__dict__) for owner in owners]
        self._buffers = [
            (module, name, buffer, buffer.detach().clone())
            for module in model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None and not is_lazy(buffer)
        ]
        self._random = random_state()

    def restore(self) -> None:
        """Put it back."""
        for attributes in self._attributes:
            attributes.restore()
        with torch.no_grad():
            for module, name, buffer, copy in self._buffers:
                buffer.data.copy_(copy)
                module._buffers[name] = buffer
        restore_random_state(self._random)


class _Attributes:
    """What an object has, and what lies in its lists and tables: many a hook appends to one, or counts there."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self._now = attributes
        self._then = dict(attributes)
        self._contents = [
            (value, value.copy())
            for name, value in attributes.items()
            if name not in TORCHS and isinstance(value, list | dict | set | deque)
        ]

    def restore(self) -> None:
        for name in self._now.keys() - self._then.keys():
            del self._now[name]
        self._now.update(self._then)
        for value, contents in self._contents:
            value.clear()
            if isinstance(value, list | deque):
                value.extend(contents)
            else:
                value.update(contents)


def _is_lazy(module: nn.Module) -> bool:
    return any(p is not None and is_lazy(p) for p in (*module._parameters.values(), *module._buffers.values()))
