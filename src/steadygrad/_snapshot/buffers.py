"""The buffers of modules, kept from one accepted step to the next, so that a bad forward pass leaves no trace."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .walk import buffer_owners


class BufferSnapshot:
    """The buffers of some modules as they were at the last accepted step.

    A forward pass changes buffers (BatchNorm's running statistics) before anyone can know that the step is bad. Only
    modules whose buffers have moved are copied. torch counts in-place writes in `Tensor._version`, but BatchNorm's
    kernels write the running statistics without counting; its `num_batches_tracked` is counted. So when one buffer of
    a module has moved, all of that module's have.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._owners = buffer_owners(modules)
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


def _versions(buffers: Mapping[str, Tensor | None]) -> list[tuple[int, int]]:
    # Tensors made in inference mode count no versions: they are known by identity only.
    return [
        (id(b), -1 if b.is_inference() else b._version) for b in buffers.values() if b is not None and not is_lazy(b)
    ]


def _refreshed(copy: Tensor | None, buffer: Tensor) -> Tensor:
    if copy is None or copy.shape != buffer.shape or copy.device != buffer.device or copy.dtype != buffer.dtype:
        return buffer.detach().clone()
    return copy.copy_(buffer)
