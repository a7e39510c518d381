"""Looking at a model without leaving a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from .._random_state import random_state, restore_random_state


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Afterwards buffers, gradients, training flags and the state of every random generator are as they were.

    Weights are not looked after: whoever changes them puts them back.

    Example:
        >>> model, x = nn.BatchNorm1d(2), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> with undisturbed(model):
        ...     _ = model(x)
        >>> model.running_mean.tolist()
        [0.0, 0.0]
    """
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    grads = [(param, param.grad) for param in model.parameters()]
    modes = [(module, module.training) for module in model.modules()]
    random = random_state()
    for param, _ in grads:
        param.grad = None
    try:
        yield
    finally:
        restore_random_state(random)
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        for param, grad in grads:
            param.grad = grad
        for module, mode in modes:
            module.training = mode
