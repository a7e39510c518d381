"""Whether a gradient arrives at the time step that the target depends on."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

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
    rows, target = batch_size(objective), objective.target
    if not isinstance(target, Tensor) or rows is None or target.ndim not in (1, 2) or len(target) != rows:
        return None
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
            handles = list(_on_embeddings(objective.model, inputs, entries))
            try:
                loss = objective()
            finally:
                for handle in handles:
                    handle.remove()
            grads = torch.autograd.grad(loss, entries, allow_unused=True) if entries else ()
    known = [grad for grad in grads if grad is not None]
    if not known:
        return None
    sizes = [root_mean_square(grad if time_first else grad.transpose(0, 1), None) for grad in known]
    return torch.stack(sizes).amax(0)


def _on_embeddings(model: nn.Module, tokens: Tensor, entries: list[Tensor]) -> Iterator[Any]:
    def keep(module: nn.Module, args: Any, output: Any) -> None:
        read = args[0] if args else None
        if isinstance(read, Tensor) and read.shape == tokens.shape and output.requires_grad:
            entries.append(output)

    for module in model.modules():
        if isinstance(module, nn.Embedding):
            yield module.register_forward_hook(keep)


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(float(value) for value in read_vector([(range(len(values)), values.detach())], len(values), 0.0))
