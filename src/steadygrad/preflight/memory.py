"""Whether a gradient arrives at the time step that the target depends on."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from .._readback import read_vector
from ..evidence import Memory
from ..measure.dependence import dependence_by_time
from ..measure.objective import Objective
from ..measure.time_gradients import root_mean_square
from ..measure.undisturbed import undisturbed
from .variants import batch_size, mapped, tensors_in

SAMPLES = 1024
"""Samples of which correlations are taken; a gradient is of the whole batch."""


def memory(objective: Objective, lengths: set[int]) -> Memory | None:
    """Where along a sequence its target is decided, and what share of the gradient is left there.

    Args:
        objective: model, batch and loss; one target for a sequence.
        lengths: how many steps the model's recurrences make: an input is a sequence if it has so many.
    """
    rows = batch_size(objective)
    targets = [each for _, each in tensors_in(objective.target) if each.ndim in (1, 2) and len(each) == rows]
    if rows is None or len(targets) != 1:
        return None
    target = targets[0]
    for name, inputs in tensors_in(objective.inputs, "inputs"):
        timed = _samples_first(inputs, rows, lengths)
        if timed is None or (target.ndim == 2 and not target.is_floating_point()):
            continue
        found = dependence_by_time(timed[:SAMPLES].detach(), target[:SAMPLES].detach())
        if found is None:
            continue
        gradients = _arriving(objective, inputs, timed is not inputs)
        if gradients is None:
            continue
        squared = _numbers(found[0])
        arriving = _numbers(gradients)
        return Memory(name, min(rows, SAMPLES), found[1], squared, arriving)
    return None


def _samples_first(inputs: Tensor, rows: int, lengths: set[int]) -> Tensor | None:
    """A sequence as (samples, time, ...), or None if it is none."""
    tokens = not inputs.is_floating_point()
    if inputs.ndim not in ((2,) if tokens else (2, 3)) or inputs.is_complex() or inputs.dtype == torch.bool:
        return None
    if inputs.shape[0] == rows and inputs.shape[1] in lengths:
        return inputs
    return inputs.transpose(0, 1) if inputs.shape[1] == rows and inputs.shape[0] in lengths else None


def _arriving(objective: Objective, inputs: Tensor, time_first: bool) -> Tensor | None:
    """The gradient's root mean square at each time step of an input, of tokens at that of their embedding."""
    entries: list[Tensor] = []
    if inputs.is_floating_point():
        entries.append(inputs.detach().clone().requires_grad_())
        swapped = mapped(objective.inputs, lambda value: entries[0] if value is inputs else value)
        with undisturbed(objective.model), torch.enable_grad():
            loss = objective(objective.with_parts(swapped, objective.target))
            grads = torch.autograd.grad(loss, entries, allow_unused=True)
    else:
        with undisturbed(objective.model), torch.enable_grad():
            with LookedUp(entries, inputs):
                loss = objective()
            grads = torch.autograd.grad(loss, entries, allow_unused=True) if entries else ()
    known = [grad for grad in grads if grad is not None]
    if not known:
        return None
    sizes = [root_mean_square(grad if time_first else grad.transpose(0, 1), None) for grad in known]
    return torch.stack(sizes).amax(0)


class LookedUp(TorchFunctionMode):
    """Keeps what tokens are looked up to, by whatever calls the function that does.

    Args:
        entries: what is kept is added to it.
        tokens: those that count; None for any.
    """

    def __init__(self, entries: list[Tensor], tokens: Tensor | None = None) -> None:
        super().__init__()
        self._tokens, self._entries = tokens, entries

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") == "embedding" and output.requires_grad and any(map(self._counts, args)):
            self._entries.append(output)
        return output

    def _counts(self, value: Any) -> bool:
        if self._tokens is None:
            return True
        return isinstance(value, Tensor) and value.dtype == self._tokens.dtype and value.shape == self._tokens.shape


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(float(value) for value in read_vector([(range(len(values)), values.detach())], len(values), 0.0))
