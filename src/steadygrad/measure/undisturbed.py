"""Looking at a model without leaving a trace."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from .._random_state import random_state, restore_random_state


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
        # Shallow: it puts back a hidden state that a module keeps, and its mode.
        self._attributes = [dict(module.__dict__) for module in self._modules]
        self._buffers = [
            (module, name, buffer, buffer.detach().clone())
            for module in model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None and not is_lazy(buffer)
        ]
        self._random = random_state()

    def restore(self) -> None:
        """Put it back."""
        for module, attributes in zip(self._modules, self._attributes, strict=True):
            now = module.__dict__
            for name in now.keys() - attributes.keys():
                del now[name]
            now.update(attributes)
        with torch.no_grad():
            for module, name, buffer, copy in self._buffers:
                buffer.data.copy_(copy)
                module._buffers[name] = buffer
        restore_random_state(self._random)


def _is_lazy(module: nn.Module) -> bool:
    return any(p is not None and is_lazy(p) for p in (*module._parameters.values(), *module._buffers.values()))
