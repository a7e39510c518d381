"""Products of a loss's Hessian with vectors, by differentiating twice."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from .._i18n import say
from ..errors import NoSecondDerivative

Loss = Tensor | Callable[[], Tensor]
"""A live scalar loss, or what builds one."""

_REFUSALS = ("double backward", "differentiate twice", "is not implemented", "not differentiable")
"""Words of torch, in an operation's refusal to be differentiated a second time."""


class HessianProduct:
    r"""The product :math:`v \mapsto H v` with the Hessian :math:`H = \partial^2 L / \partial w^2`.

    The forward pass is made once. Gradients of the model, random numbers and the graph of a live loss are left as they
    are. A loss that is built here is built without kernels that cannot be differentiated twice: attention by its math
    kernel, recurrent layers without cuDNN, compiled modules as they were written.

    Args:
        loss: a live scalar tensor, or a function that returns one.
        params: the parameters, floating; those that do not require a gradient, or that the loss does not use, have
            rows of zeros.

    Attributes:
        gradients: the gradient of each parameter, detached; zeros where the loss does not use it.

    Raises:
        ValueError: the loss is not a scalar that depends on one of the parameters.
        NoSecondDerivative: an operation of the loss has no double backward.

    Example:
        >>> weight = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> product = HessianProduct((weight**3).sum(), [weight])
        >>> product([torch.tensor([1.0, 1.0])])
        [tensor([ 6., 12.])]

    References:
        Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
    """

    def __init__(self, loss: Loss, params: Sequence[Tensor]) -> None:
        self.params = list(params)
        self._used = [place for place, param in enumerate(self.params) if param.requires_grad]
        self._inputs = [self.params[place] for place in self._used]
        self._devices = sorted({p.device.index or 0 for p in self.params if p.is_cuda})
        self._built_here = not isinstance(loss, Tensor)
        if not self._inputs:
            raise ValueError("params holds no parameter that requires a gradient, so there is no Hessian to measure")
        with self._differentiable_twice():
            self.loss = _scalar(loss if isinstance(loss, Tensor) else loss())
            with _refusals_named(self.loss, self._built_here):
                _refuse_once_differentiable(self.loss)
                found = torch.autograd.grad(self.loss, self._inputs, create_graph=True, allow_unused=True)
        if all(grad is None for grad in found):
            raise ValueError("the loss depends on none of the params, so there is no Hessian to measure")
        for place, grad in zip(self._used, found, strict=True):
            if grad is not None and grad.layout != torch.strided:
                shape = "x".join(map(str, self.params[place].shape))
                raise NoSecondDerivative(
                    say(
                        "the gradient of the {shape} parameter {place} is sparse and has no double backward: "
                        "measure with sparse=False in its embedding",
                        shape=shape,
                        place=place,
                    )
                )
        self.gradients = [torch.zeros_like(param, requires_grad=False) for param in self.params]
        for place, grad in zip(self._used, found, strict=True):
            if grad is not None:
                self.gradients[place] = grad.detach()
        # A gradient that is constant in the parameters has rows of zeros.
        self._live = [
            (place, grad)
            for place, grad in zip(self._used, found, strict=True)
            if grad is not None and grad.requires_grad
        ]

    def __call__(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """The product, one tensor for each parameter.

        Args:
            vectors: one tensor for each parameter, of its shape, dtype and device.

        Returns:
            Tensors of the same shapes; zeros for parameters that have no second derivative.
        """
        result = [torch.zeros_like(param, requires_grad=False) for param in self.params]
        if not self._live:
            return result
        with self._differentiable_twice(), _refusals_named(self.loss, self._built_here):
            products = torch.autograd.grad(
                [grad for _, grad in self._live],
                self._inputs,
                [vectors[place] for place, _ in self._live],
                retain_graph=True,
                allow_unused=True,
            )
        for place, product in zip(self._used, products, strict=True):
            if product is not None:
                result[place] = product.detach()
        return result

    @contextmanager
    def _differentiable_twice(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(self._devices))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if self._devices:
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            if "torch._dynamo" in sys.modules:  # else nothing is compiled, and loading it takes seconds
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield


def _scalar(loss: Tensor) -> Tensor:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise ValueError(f"the loss is {what}, expected a scalar tensor")
    if not loss.requires_grad:
        raise ValueError("the loss requires no gradient: it is detached, or was computed under torch.no_grad()")
    return loss.reshape(())


@contextmanager
def _refusals_named(loss: Tensor, built_here: bool) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        words = str(error)
        if not any(refusal in words for refusal in _REFUSALS):
            raise
        operation = _operation(words, loss)
        if built_here:
            why = say("{operation} has no double backward, so sharpness cannot be measured", operation=operation)
        else:
            why = say(
                "{operation} has no double backward, so sharpness cannot be measured; pass a function that builds the "
                "loss instead: kernels are then chosen for it",
                operation=operation,
            )
        raise NoSecondDerivative(why) from error


def _refuse_once_differentiable(loss: Tensor) -> None:
    """torch does not refuse where the incoming gradient is constant, and a part of the Hessian would be missing."""
    for node in _custom_functions(loss):
        backward = getattr(getattr(node, "_forward_cls", None), "backward", None)
        if getattr(backward, "__globals__", {}).get("__name__") == "torch.autograd.function":
            raise RuntimeError("differentiate twice: marked with once_differentiable")


def _operation(words: str, loss: Tensor) -> str:
    """The name of the operation that refused."""
    found = re.search(r"derivative for '?([\w:.]+)'?", words)
    if found:
        return found.group(1)
    names = sorted({type(node).__name__.removesuffix("Backward") for node in _custom_functions(loss)})
    if names:
        return say(" or ").join(names)
    return say("an operation of the loss (torch says: {error})", error=words.splitlines()[0])


def _custom_functions(loss: Tensor) -> list[object]:
    """The nodes that `torch.autograd.Function` classes have made in the graph of a loss."""
    found: list[object] = []
    seen: set[object] = set()
    waiting = [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            found.append(node)
        waiting.extend(following for following, _ in node.next_functions)
    return found
