"""States to go back to: module buffers since the last accepted step, and an optimizer before a step with a closure."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer


class BufferSnapshot:
    """The buffers of some modules as they were at the last accepted step.

    A forward pass changes buffers (BatchNorm's running statistics) before anyone can know that the step is bad. Only
    modules whose buffers have moved are copied. torch counts in-place writes in `Tensor._version`, but BatchNorm's
    kernels write the running statistics without counting; its `num_batches_tracked` is counted. So when one buffer of
    a module has moved, all of that module's have.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        owners = {id(module): module for root in modules for module in root.modules()}
        modules = [module for module in owners.values() if not isinstance(module, torch.jit.ScriptModule)]
        self._owners = [module._buffers for module in modules if module._buffers]
        self._versions: list[list[tuple[int, int]]] = [[] for _ in self._owners]
        self._copies: list[dict[str, Tensor]] = [{} for _ in self._owners]
        self.save()

    def save(self) -> None:
        """Keep the buffers as they are now."""
        for place, buffers in enumerate(self._owners):
            versions = _versions(buffers)
            if versions != self._versions[place]:
                copies = self._copies[place]
                with torch.no_grad():
                    for name, buffer in buffers.items():
                        if buffer is not None and not is_lazy(buffer):
                            copies[name] = _refreshed(copies.get(name), buffer)
                self._versions[place] = versions

    def restore_(self) -> list[str]:
        """Put back the buffers of every module that has moved since `save`; returns the buffers' names."""
        restored = []
        for place, buffers in enumerate(self._owners):
            if _versions(buffers) == self._versions[place]:
                continue
            with torch.no_grad():
                for name, copy in self._copies[place].items():
                    buffer = buffers.get(name)
                    if buffer is not None and buffer.shape == copy.shape:
                        # Uncounted: a graph that saved this buffer may still have its backward pass before it.
                        buffer.data.copy_(copy)
                    else:
                        buffers[name] = copy.clone()
                    restored.append(name)
            self._versions[place] = _versions(buffers)
        return restored


class OptimizerBackup:
    """An optimizer before a step whose gradients exist only once the step has begun, because a closure makes them.

    Counters and options are always kept, they cost nothing.

    Args:
        optimizer: the optimizer.
        params: keep the parameters: for optimizers that may move them without a gradient, or between evaluations.
        state: keep the moments: for optimizers that evaluate their closure several times a step.
    """

    def __init__(self, optimizer: Optimizer, *, params: bool, state: bool) -> None:
        self._optimizer = optimizer
        every = [param for group in optimizer.param_groups for param in group["params"]] if params or state else []
        self._values = [(param, param.detach().clone()) for param in every]
        self._whole = state
        self._state = {k: _copy(v) for k, v in optimizer.state.items() if state or not isinstance(k, Tensor)}
        self._options = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        self._counters = {k: v for k, v in vars(optimizer).items() if isinstance(v, (int, float, str, type(None)))}

    def restore_(self) -> None:
        """Put everything back as it was."""
        with torch.no_grad():
            for param, value in self._values:
                param.copy_(value)
        state = self._optimizer.state
        for key in [key for key in state if self._whole or not isinstance(key, Tensor)]:
            del state[key]
        state.update({key: _copy(value) for key, value in self._state.items()})
        for group, options in zip(self._optimizer.param_groups, self._options, strict=True):
            group.update(options)
        vars(self._optimizer).update(self._counters)


def _versions(buffers: Mapping[str, Tensor | None]) -> list[tuple[int, int]]:
    # Tensors made in inference mode count no versions: they are known by identity only.
    return [
        (id(b), -1 if b.is_inference() else b._version) for b in buffers.values() if b is not None and not is_lazy(b)
    ]


def _refreshed(copy: Tensor | None, buffer: Tensor) -> Tensor:
    if copy is None or copy.shape != buffer.shape or copy.device != buffer.device or copy.dtype != buffer.dtype:
        return buffer.detach().clone()
    return copy.copy_(buffer)


def _copy(value: Any) -> Any:
    """A copy of optimizer state: tensors cloned, containers rebuilt, the rest shared.

    Elements of lists are shared too: LBFGS keeps its history in lists to which it only adds and from which it removes.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return list(value) if isinstance(value, list) else value
