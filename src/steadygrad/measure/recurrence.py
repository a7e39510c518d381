"""A recurrent layer of torch as what it is: a step that is repeated, one layer and direction at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from .._foreach import REDUCED

State = Any
"""What a step carries to the next: a tensor [batch, ...], or a tuple of such tensors."""

Step = Callable[[Any, Any], Any]
"""One step of a recurrence, `step(state, input) -> state`."""


@dataclass(frozen=True)
class RecurrentLayer:
    """One layer and direction of an `nn.RNN`, `nn.LSTM` or `nn.GRU`, and one batch for it.

    `name` is torch's own suffix of its weights: `l0`, `l1_reverse`. `step(state, input)` is one step: `state` is
    `(hidden,)`, of an LSTM `(hidden, cell)`, and `input` one of `inputs` [time, batch, gates * hidden], in which the
    input weights are already. Both are in the order in which this direction reads. `lengths` [batch] is None where all
    sequences are equally long. Everything is differentiable down to the weights.
    """

    name: str
    step: Step
    inputs: Tensor
    state: tuple[Tensor, ...]
    lengths: Tensor | None
    reverse: bool

    @cached_property
    def states(self) -> list[tuple[Tensor, ...]]:
        """The state after each step; what stands behind the end of a sequence means nothing."""
        states = []
        state = self.state
        for input in self.inputs:
            state = self.step(state, input)
            states.append(state)
        return states

    @cached_property
    def output(self) -> Tensor:
        """The hidden states [time, batch, hidden] in the order of the sequence, zero behind its end."""
        hidden = torch.stack([state[0] for state in self.states])
        mask = self.mask
        if mask is not None:
            hidden = hidden.where(mask.unsqueeze(-1), 0.0)
        return _reversed(hidden, self.lengths) if self.reverse else hidden

    @cached_property
    def final(self) -> tuple[Tensor, ...]:
        """The state after the last step of each sequence."""
        if self.lengths is None:
            return self.states[-1]
        last = (self.lengths - 1).view(1, -1, 1)
        parts = [torch.stack(part) for part in zip(*self.states, strict=True)]
        return tuple(part.gather(0, last.expand(1, -1, part.shape[-1])).squeeze(0) for part in parts)

    @property
    def mask(self) -> Tensor | None:
        """True at the steps that belong to a sequence [time, batch]; None where all do."""
        if self.lengths is None:
            return None
        return torch.arange(len(self.inputs), device=self.inputs.device).unsqueeze(1) < self.lengths


def recurrent_layers(
    rnn: nn.RNNBase,
    inputs: Tensor | PackedSequence,
    state: Tensor | tuple[Tensor, ...] | None = None,
    *,
    weights: Sequence[Tensor] | None = None,
    dropout: bool = False,
) -> Iterator[RecurrentLayer]:
    """Take a recurrent module apart into its layers and directions, each with the inputs that the layers below make.

    Args:
        rnn: an `nn.RNN` (tanh or relu), `nn.LSTM` (with `proj_size` or without) or `nn.GRU`.
        inputs: what the module takes: [time, batch, features], [batch, time, features] if it is `batch_first`,
            [time, features], or a packed sequence. Reduced precision is worked on in float32.
        state: what the module takes as `hx`; zeros if None.
        weights: stand in for the module's own, in the order of `rnn.all_weights`.
        dropout: apply the dropout between layers, as the module does in training mode.

    Yields:
        A `RecurrentLayer` for each layer and direction, in the order of torch's weights. A layer is computed when the
        one above it is asked for.

    Raises:
        ValueError: the module is not one of the three.

    Example:
        >>> lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        >>> for layer in recurrent_layers(lstm, torch.randn(5, 2, 3)):
        ...     print(layer.name, [tuple(part.shape) for part in layer.final])
        l0 [(2, 4), (2, 4)]
        l0_reverse [(2, 4), (2, 4)]
        l1 [(2, 4), (2, 4)]
        l1_reverse [(2, 4), (2, 4)]
    """
    if not isinstance(rnn, nn.RNNBase) or rnn.mode not in ("RNN_TANH", "RNN_RELU", "LSTM", "GRU"):
        raise ValueError(f"{type(rnn).__name__} is not a recurrent layer of torch; give a function step(state, input)")
    sequence, lengths = time_first(rnn, inputs)
    if weights is None:
        weights = [weight for layer in rnn.all_weights for weight in layer]
    weights = [_wide(weight) for weight in weights]
    states = _states(rnn, sequence, state)
    directions = 2 if rnn.bidirectional else 1
    each = len(weights) // (rnn.num_layers * directions)
    for number in range(rnn.num_layers):
        layers = []
        for direction in range(directions):
            place = number * directions + direction
            own = list(weights[place * each : (place + 1) * each])
            projection = own.pop() if rnn.proj_size else None
            input_bias, hidden_bias = own[2:] if rnn.bias else (None, None)
            read = _reversed(sequence, lengths) if direction else sequence
            layers.append(
                RecurrentLayer(
                    name=f"l{number}" + ("_reverse" if direction else ""),
                    step=_STEPS[rnn.mode](own[1], hidden_bias, projection),
                    inputs=F.linear(read, own[0], input_bias),
                    state=tuple(part[place] for part in states),
                    lengths=lengths,
                    reverse=bool(direction),
                )
            )
        yield from layers
        if number + 1 < rnn.num_layers:
            sequence = torch.cat([layer.output for layer in layers], dim=-1)
            if dropout:
                sequence = F.dropout(sequence, rnn.dropout)


def time_first(rnn: nn.RNNBase, sequence: Tensor | PackedSequence) -> tuple[Tensor, Tensor | None]:
    """A sequence of a module as [time, batch, features], and the lengths if it was packed."""
    if isinstance(sequence, PackedSequence):
        padded, lengths = pad_packed_sequence(sequence)
        return _wide(padded), lengths.to(padded.device)
    if sequence.ndim == 2:
        return _wide(sequence).unsqueeze(1), None
    return _wide(sequence).transpose(0, 1) if rnn.batch_first else _wide(sequence), None


def state_parts(state: Tensor | tuple[Tensor, ...] | list[Tensor]) -> tuple[Tensor, ...]:
    """A state as a tuple of tensors."""
    return tuple(state) if isinstance(state, (tuple, list)) else (state,)


def _states(rnn: nn.RNNBase, sequence: Tensor, state: Any) -> tuple[Tensor, ...]:
    """The initial state of every layer, each part [layers * directions, batch, size]."""
    if state is not None:
        return tuple(_wide(part if part.ndim == 3 else part.unsqueeze(1)) for part in state_parts(state))
    count = rnn.num_layers * (2 if rnn.bidirectional else 1)
    sizes = [rnn.proj_size or rnn.hidden_size] + [rnn.hidden_size] * (rnn.mode == "LSTM")
    return tuple(sequence.new_zeros(count, sequence.shape[1], size) for size in sizes)


def _reversed(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """Each sequence from its own end; what is behind the end stays there."""
    if lengths is None:
        return sequence.flip(0)
    place = torch.arange(len(sequence), device=sequence.device).unsqueeze(1)
    place = torch.where(place < lengths, lengths - 1 - place, place)
    return sequence.gather(0, place.unsqueeze(-1).expand_as(sequence))


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in REDUCED else tensor


def _rnn_step(activation: Callable[[Tensor], Tensor]) -> Callable[..., Step]:
    def make(weight: Tensor, bias: Tensor | None, projection: None) -> Step:
        def step(state: State, input: Tensor) -> State:
            return (activation(input + F.linear(state[0], weight, bias)),)

        return step

    return make


def _lstm_step(weight: Tensor, bias: Tensor | None, projection: Tensor | None) -> Step:
    def step(state: State, input: Tensor) -> State:
        ingate, forget, new, outgate = (input + F.linear(state[0], weight, bias)).chunk(4, dim=-1)
        cell = forget.sigmoid() * state[1] + ingate.sigmoid() * new.tanh()
        hidden = outgate.sigmoid() * cell.tanh()
        return (hidden if projection is None else F.linear(hidden, projection), cell)

    return step


def _gru_step(weight: Tensor, bias: Tensor | None, projection: None) -> Step:
    def step(state: State, input: Tensor) -> State:
        recurrent = F.linear(state[0], weight, bias).chunk(3, dim=-1)
        reset, update, new = input.chunk(3, dim=-1)
        new = (new + (reset + recurrent[0]).sigmoid() * recurrent[2]).tanh()
        return (torch.lerp(new, state[0], (update + recurrent[1]).sigmoid()),)

    return step


_STEPS = cast(
    "dict[str, Callable[..., Step]]",
    {"RNN_TANH": _rnn_step(torch.tanh), "RNN_RELU": _rnn_step(torch.relu), "LSTM": _lstm_step, "GRU": _gru_step},
)
