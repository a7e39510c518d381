"""The losses of a step, caught where they enter `backward`. They stay on their device, detached, unread."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MAX_PENDING = 512
"""Backward passes remembered for one step; accumulation over more is averaged over the first of them."""


class LossTap:
    """Replaces `torch.autograd.backward`, through which `Tensor.backward` goes too, by one that looks at the loss.

    With gradient accumulation or several losses a step has several; what is recorded is their mean, which means the
    same from step to step whatever the script's own convention is.
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._on_error = on_error
        self._pending: list[Tensor] = []
        self._original: Callable[..., None] | None = None
        self.on_backward: Callable[[], None] | None = None
        self.scale: Tensor | None = None
        """The factor by which a gradient scaler has multiplied the next loss."""

    def install(self) -> None:
        """Start looking."""
        original = torch.autograd.backward
        self._original = original

        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            if self._original is not None and not torch.compiler.is_compiling():
                try:
                    self._look(tensors)
                except Exception as error:
                    self._on_error(error)
            return original(tensors, *args, **kwargs)

        self._wrapper = backward
        torch.autograd.backward = backward

    def remove(self) -> None:
        """Stop looking. A wrapper that somebody else has put around ours stays, and ours becomes a pass-through."""
        if self._original is not None and torch.autograd.backward is self._wrapper:
            torch.autograd.backward = self._original
        self._original = None
        self._pending.clear()

    def take(self) -> list[Tensor]:
        """The losses since the last call, each a 0-d tensor on its device."""
        taken, self._pending = self._pending, []
        return taken

    def _look(self, tensors: Any) -> None:
        if self.on_backward is not None:
            self.on_backward()
        several = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        for tensor in several:
            if tensor.numel() == 1 and tensor.is_floating_point() and len(self._pending) < MAX_PENDING:
                loss = tensor.detach().reshape(())
                self._pending.append(loss if self.scale is None else loss / self.scale.to(loss.device))
        self.scale = None
