"""States to go back to: module buffers since the last accepted step, and an optimizer before a step with a closure."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class BufferSnapshot:
    """The buffers of some modules as they were at the last accepted step.

    A forward pass changes buffers (BatchNorm's running statistics) before anyone can know that the step is bad. Only
    modules whose buffers have moved are copied. torch counts in-place writes in `Tensor._version`, but BatchNorm's
    kernels write the running statistics without counting; its `num_batches_tracked` is counted. So when one buffer of
    a module has moved, all of that module's have.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        owners = {id(module): module for root in modules for module in root.modules() if module._buffers}
        self._owners = [module._buffers for module in owners.values()]
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
                        if buffer is not None:
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
                        buffer.copy_(copy)
                    else:
                        buffers[name] = copy.clone()
                    restored.append(name)
            self._versions[place] = _versions(buffers)
        return restored


class OptimizerBackup:
    """An optimizer's parameters, state and options before a step that evaluates its closure several times.

    Such a step moves the parameters between evaluations, so a failure in the middle can only be undone from a copy.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._params = [param for group in optimizer.param_groups for param in group["params"]]
        self._values = [param.detach().clone() for param in self._params]
        self._state = {key: _copy(value) for key, value in optimizer.state.items()}
        self._options = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]

    def restore_(self) -> None:
        """Put everything back as it was."""
        with torch.no_grad():
            for param, value in zip(self._params, self._values, strict=True):
                param.copy_(value)
        state = self._optimizer.state
        state.clear()
        state.update({key: _copy(value) for key, value in self._state.items()})
        for group, options in zip(self._optimizer.param_groups, self._options, strict=True):
            group.update(options)


def _versions(buffers: Mapping[str, Tensor | None]) -> list[tuple[int, int]]:
    # Tensors made in inference mode count no versions: they are known by identity only.
    return [(id(b), -1 if b.is_inference() else b._version) for b in buffers.values() if b is not None]


def _refreshed(copy: Tensor | None, buffer: Tensor) -> Tensor:
    if copy is None or copy.shape != buffer.shape or copy.device != buffer.device or copy.dtype != buffer.dtype:
        return buffer.detach().clone()
    return copy.copy_(buffer)


def _copy(value: Any) -> Any:
    """A copy of optimizer state: tensors cloned, containers rebuilt, the rest shared. (Elements of lists are shared too:
    LBFGS keeps its history in lists to which it only adds and from which it only removes.)"""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return list(value) if isinstance(value, list) else value
