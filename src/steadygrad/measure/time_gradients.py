"""The gradient by time step of a recurrent layer of torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .._foreach import REDUCED
from .recurrence import recurrent_layers, state_parts, time_first


@dataclass(frozen=True, slots=True)
class TimeGradient:
    r"""The gradient that reaches the state of a recurrent layer after each step, of one sequence.

    `hidden` [time] is the root mean square over samples and units of :math:`\partial L / \partial h_t`, all ways
    together: that of the output at t and that through later steps. `cell` is the same of an LSTM's cell state, its way
    through the hidden state of the same step included, or of the last tensor that a hand-written cell returns beside
    its first; else None. Both are on the device, unread, in the order in which the layer reads. `path` is that of the
    module, `layer` torch's suffix of its weights (`l0`, `l1_reverse`), empty for a cell.
    """

    path: str
    layer: str
    hidden: Tensor
    cell: Tensor | None


def gradient_by_time(
    rnn: nn.RNNBase,
    inputs: Tensor | PackedSequence,
    state: Any = None,
    *,
    grad_output: Tensor | PackedSequence | None = None,
    grad_state: Any = None,
    path: str = "",
    weights: Sequence[Tensor] | None = None,
    dropout: bool = False,
) -> list[TimeGradient]:
    r"""The gradient by time step of a recurrent module, from what a backward has left at its outputs.

    torch's layers run all their steps in one operation, which shows no state in between. So the layer is run again step
    by step on the same input, and what came in at its outputs is sent back through those steps: the exact gradient.

    Args:
        rnn: an `nn.RNN`, `nn.LSTM` or `nn.GRU`, as it was in the forward.
        inputs: what it was given.
        state: what it was given as `hx`, or None.
        grad_output: the gradient of its output, shaped as the output; None for none.
        grad_state: the gradient of its final state, a tensor, of an LSTM a tuple of two; None, or None in the tuple,
            for none.
        path: what to call it.
        weights: stand in for the module's own, in the order of `rnn.all_weights`.
        dropout: apply the dropout between layers. The random numbers must be those of the forward.

    Returns:
        A `TimeGradient` for each layer and direction.

    Raises:
        ValueError: the module is none of the three.

    Example:
        >>> rnn = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False)
        >>> with torch.no_grad():
        ...     _ = rnn.weight_hh_l0.copy_(2.0 * torch.eye(2)), rnn.weight_ih_l0.fill_(1.0)
        >>> gradient_by_time(rnn, torch.ones(4, 1, 1), grad_state=torch.ones(1, 1, 2))[0].hidden.tolist()
        [8.0, 4.0, 2.0, 1.0]
    """
    if weights is None:
        weights = [weight for layer in rnn.all_weights for weight in layer]
    with torch.enable_grad():
        # Through its input every state hangs in the graph; for the weights nothing is worked out.
        given = without_graph(inputs)
        given.data.requires_grad_() if isinstance(given, PackedSequence) else given.requires_grad_()
        start = None if state is None else tuple(part.detach() for part in state_parts(state))
        fixed = [weight.detach() for weight in weights]
        layers = list(recurrent_layers(rnn, given, start, weights=fixed, dropout=dropout))
        ends: list[Tensor] = []
        grads: list[Tensor] = []
        if grad_output is not None:
            directions = 2 if rnn.bidirectional else 1
            ends.append(torch.cat([layer.output for layer in layers[-directions:]], dim=-1))
            grads.append(time_first(rnn, grad_output)[0].to(ends[0]))
        for number, grad in enumerate(() if grad_state is None else state_parts(grad_state)):
            if grad is not None:
                ends.append(torch.stack([layer.final[number] for layer in layers]))
                grads.append(grad.to(ends[-1]).view_as(ends[-1]))
        states = [part for layer in layers for parts in layer.states for part in parts]
        if ends:
            reached = iter(torch.autograd.grad(ends, states, grads, materialize_grads=True))
        else:
            reached = iter([torch.zeros_like(part) for part in states])
    curves = []
    for layer in layers:
        parts = zip(*([next(reached) for _ in parts] for parts in layer.states), strict=True)
        rms = [root_mean_square(torch.stack(part), layer.mask) for part in parts]
        curves.append(TimeGradient(path, layer.name, rms[0], rms[1] if len(rms) > 1 else None))
    return curves


def root_mean_square(grads: Tensor, mask: Tensor | None) -> Tensor:
    """Over all but the first dimension, without overflow: exploding is what these do. 0 where `mask` is False."""
    grads = grads.reshape(len(grads), -1)  # a model may return its loss, which is a single number
    grads = grads.float() if grads.dtype in REDUCED else grads
    largest = grads.abs().amax(1, keepdim=True).clamp(min=torch.finfo(grads.dtype).tiny)
    mean = (grads / largest).square().mean(1)
    if mask is not None:
        mean = mean * mask.shape[1] / mask.sum(1)
    return largest.squeeze(1) * mean.sqrt()


def without_graph(inputs: Any) -> Any:
    """A tensor or packed sequence, detached."""
    return inputs._replace(data=inputs.data.detach()) if isinstance(inputs, PackedSequence) else inputs.detach()
