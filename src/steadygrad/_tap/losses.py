"""The losses of a step, caught where they enter `backward`. They stay on their device, detached, unread."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from .loss_scale import own_scale
from .quiet import is_quiet

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
        self._told: Any = None
        self._grad: Any = None
        self._grad_wrapper: Any = None
        self._original: Callable[..., None] | None = None
        self.on_backward: Callable[[], None] | None = None
        self.on_loss: Callable[[Tensor], None] | None = None
        """Is told a loss that is about to be differentiated, or to be scaled for it."""
        self.on_enter: Callable[[Any], None] | None = None
        self.on_left: Callable[[FrameType | None, dict[int, Tensor] | None], None] | None = None
        """Are told that a backward pass begins at a tensor, before anybody else, and that it is over."""
        self.adds = True
        """Whether what is being differentiated adds to the gradients that lie there, as `backward` does."""
        self.follows_grad: Callable[[Sequence[Tensor]], bool] = lambda leaves: False
        """Whether a loss that `torch.autograd.grad` differentiates by these leaves is one of a training."""
        self.scaled: tuple[Any, Tensor | None, Tensor] | None = None
        """What a gradient scaler has multiplied last: its result, the loss itself, and the factor."""

    def install(self) -> None:
        """Start looking."""
        original = torch.autograd.backward
        self._original = original

        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            if isinstance(tensors, Iterator):
                tensors = tuple(tensors)
            looks = self._original is not None and not is_quiet() and not torch.compiler.is_compiling()
            if looks:
                try:
                    self._look(tensors)
                except Exception as error:
                    self._on_error(error)
            original(tensors, *args, **kwargs)
            if looks and self.on_left is not None:
                self.on_left(sys._getframe(1), None)

        self._wrapper = backward
        torch.autograd.backward = backward
        of_tensor = Tensor.backward
        self._of_tensor = of_tensor

        @functools.wraps(of_tensor)
        def tensor_backward(tensor: Tensor, *args: Any, **kwargs: Any) -> None:
            # Before torch: to it this is a function like others, after which a mode that it has taken off comes back.
            if self._original is not None and not is_quiet() and not torch.compiler.is_compiling():
                try:
                    self._tell(tensor)
                    self._told = tensor
                except Exception as error:
                    self._on_error(error)
            return of_tensor(tensor, *args, **kwargs)

        self._tensor_wrapper = tensor_backward
        Tensor.backward = tensor_backward  # type: ignore[method-assign]

    def install_grad(self) -> None:
        """Look at `torch.autograd.grad` too, where gradients of leaves are asked for once."""
        original = torch.autograd.grad

        @functools.wraps(original)
        def grad(outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            looks = self._original is not None and not is_quiet() and not torch.compiler.is_compiling()
            several = (
                [inputs] if isinstance(inputs, Tensor) else list(inputs) if isinstance(inputs, (list, tuple)) else []
            )
            plain = isinstance(outputs, Tensor) and outputs.numel() == 1 and not args and not kwargs.get("create_graph")
            looks = (
                looks and plain and bool(several) and all(isinstance(each, Tensor) and each.is_leaf for each in several)
            )
            if looks:
                self.adds = False
                try:
                    self._tell(outputs)
                    if self.follows_grad(several):
                        self._pending.append(outputs.detach().reshape(()))
                except Exception as error:
                    self._on_error(error)
                finally:
                    self.adds = True
            result = original(outputs, inputs, *args, **kwargs)
            if looks and self.on_left is not None:
                given = zip(several, result, strict=False)
                self.on_left(sys._getframe(1), {id(leaf): value for leaf, value in given if value is not None})
            return result

        self._grad, self._grad_wrapper = original, grad
        torch.autograd.grad = grad

    def remove(self) -> None:
        """Stop looking. A wrapper that somebody else has put around ours stays, and ours becomes a pass-through."""
        if self._original is not None and torch.autograd.backward is self._wrapper:
            torch.autograd.backward = self._original
        if self._original is not None and self._grad_wrapper is not None and torch.autograd.grad is self._grad_wrapper:
            torch.autograd.grad = self._grad
        if self._original is not None and Tensor.backward is self._tensor_wrapper:
            Tensor.backward = self._of_tensor  # type: ignore[method-assign]
        self._original = None
        self._pending.clear()

    def take(self) -> list[Tensor]:
        """The losses since the last call, each a 0-d tensor on its device."""
        taken, self._pending = self._pending, []
        return taken

    def earlier(self) -> list[Tensor]:
        """The losses since the last call but for the latest, which stays."""
        taken, self._pending = self._pending[:-1], self._pending[-1:]
        return taken

    def _look(self, tensors: Any) -> None:
        if self.on_backward is not None:
            self.on_backward()
        several = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if len(several) == 1 and several[0] is not self._told:  # a tensor has told of itself
            self._tell(several[0])
        self._told = None
        for tensor in several:
            if (
                isinstance(tensor, Tensor)
                and tensor.numel() == 1
                and tensor.is_floating_point()
                and len(self._pending) < MAX_PENDING
            ):
                self._pending.append(self._unscaled(tensor).reshape(()))
        self.scaled = None

    def _tell(self, loss: Any) -> None:
        if self.on_enter is not None:
            self.on_enter(loss)
        if self.on_loss is not None and self.scaled is None and isinstance(loss, Tensor):
            self.on_loss(loss)

    def _unscaled(self, tensor: Tensor) -> Tensor:
        if self.scaled is None:
            factor = own_scale(tensor)
            return tensor.detach() if factor == 1.0 else tensor.detach() / factor
        result, loss, factor = self.scaled
        if tensor is result and loss is not None:
            return loss  # dividing would not do: the scaled loss may have overflowed
        return tensor.detach() / factor.to(tensor.device)
