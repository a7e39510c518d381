"""One forward and backward pass of a user's model, measured: plain numbers from here on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from .._readback import read_step, read_tensor_scalar
from ..evidence import Activity, Attention, Call, Classification, Pass
from ..measure import norm_vector, overflow_safe_norm
from ..measure.forward_trace import ActivationCall, ForwardTrace, Scaling, rms
from ..measure.objective import Objective
from ..measure.undisturbed import undisturbed
from .units import units_of


def observe(objective: Objective, batch: Any = None) -> Pass:
    """Run forward and backward once and measure; the model is left as it was, gradients included.

    Args:
        objective: the model with its loss.
        batch: another batch of the same form; None for the objective's own.
    """
    model = objective.model
    with undisturbed(model), traced(model) as trace:
        loss = objective(batch)
        output = objective.output
        reduction = reduction_of(loss)
        second_order = trace.went_back()
        loss.backward()
        params = dict(model.named_parameters())
        return replace(to_pass(trace, loss, output, params, reduction), second_order=second_order)


def traced(model: nn.Module) -> ForwardTrace:
    """A trace for this model."""
    return ForwardTrace(dict(model.named_parameters()), list(model.buffers()))


def to_pass(trace: ForwardTrace, loss: Tensor, output: Any, params: Mapping[str, Tensor], reduction: str) -> Pass:
    """Carry a trace and the gradients that lie in the parameters to the host."""
    main = main_output(output)
    named = [(name, param) for name, param in params.items() if param.requires_grad]
    graded = [(name, param) for name, param in named if param.grad is not None]
    numbers = _Numbers()
    with torch._C.DisableTorchFunction():
        total = numbers.add(loss)
        size = numbers.add(None if main is None else rms(main))
        differing = numbers.add(None if main is None else rms(_rows(main) - _rows(main).mean(0)))
        grads = numbers.add_all([norm_vector([param.grad]) for _, param in graded if param.grad is not None])
        weights = numbers.add_all([norm_vector([param.detach()]) for _, param in named])
        calls = [
            numbers.add_all([call.input_rms, call.output_rms, call.output_absmax, call.grad_rms])
            for call in trace.calls
        ]
        concerned = _concerned(trace)
        activity = [numbers.add_all([each.dead, each.saturated]) for each in concerned]
        focus = [numbers.add_all([each.relative_entropy, each.spread]) for _, each in trace.attentions]
        losses = [numbers.add_all([each.logits_rms, each.mean_loss]) for each in trace.losses]
        scaled = [numbers.add_all([each.grad_rms]) for each in trace.scalings]
        read = numbers.read()
    multiplying = {name for call in trace.calls for name in call.weights}
    return Pass(
        units=units_of({name: param for name, param in named if name in multiplying}),
        loss=read[total] if total is not None else math.nan,
        calls=tuple(
            _call(call, [_at(read, place) for place in places]) for call, places in zip(trace.calls, calls, strict=True)
        ),
        activity=tuple(
            Activity(
                "" if each.source is None else trace.calls[each.source].layer,
                each.function.rstrip("_"),
                each.units,
                each.entries,
                _at(read, places[0]) or 0.0,
                _at(read, places[1]) or 0.0,
            )
            for each, places in zip(concerned, activity, strict=True)
        ),
        attentions=tuple(
            Attention(layer, read[places[0]], read[places[1]])
            for (layer, _), places in zip(trace.attentions, focus, strict=True)
        ),
        losses=tuple(
            Classification(each.function, each.classes, read[places[0]], read[places[1]])
            for each, places in zip(trace.losses, losses, strict=True)
        ),
        output_rms=_at(read, size),
        output_spread=(_at(read, differing) or 0.0) / max(_at(read, size) or 0.0, 1e-300),
        overflows=tuple(trace.overflows),
        grad_norms={name: _norm(param.grad, read[place]) for (name, param), place in zip(graded, grads, strict=True)},
        weight_norms={name: _norm(param, read[place]) for (name, param), place in zip(named, weights, strict=True)},
        reduction=reduction,
        scalings=_curves(trace.scalings, [_at(read, places[0]) for places in scaled]),
    )


def _concerned(trace: ForwardTrace) -> list[ActivationCall]:
    """The nonlinearities that the gradient of the loss comes to: a critic whose values are constants for its actor's
    loss, a frozen part, may be pinned, and that is not why the loss does not fall."""
    if not trace.went_back():
        return list(trace.activations)
    calls = trace.calls
    return [each for each in trace.activations if each.source is None or calls[each.source].grad_rms is not None]


def _norm(tensor: Tensor | None, norm: float) -> float:
    """A norm that is not finite, measured again: of finite numbers the squares alone may have overflowed."""
    if math.isfinite(norm) or tensor is None:
        return norm
    again = read_tensor_scalar(overflow_safe_norm(tensor))
    return norm if again is None else again


def _curves(scalings: Sequence[Scaling], grads: Sequence[float | None]) -> dict[str, tuple[float, ...]]:
    """The gradient at each time that a weight multiplies its own results; of several at once the largest."""
    found: dict[str, dict[int, float]] = {}
    for each, grad in zip(scalings, grads, strict=True):
        curve = found.setdefault(each.weight, {})
        curve[each.times] = max(curve.get(each.times, 0.0), grad or 0.0)
    return {name: tuple(curve[time] for time in sorted(curve)) for name, curve in found.items() if len(curve) > 1}


def main_output(output: Any) -> Tensor | None:
    """The floating tensor that a model's output is about: the first one that it holds."""
    if isinstance(output, Tensor):
        return output.detach() if output.is_floating_point() else None
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        return next((found for item in output if (found := main_output(item)) is not None and found.ndim), None)
    return main_output(getattr(output, "logits", None)) if output is not None else None


def _rows(output: Tensor) -> Tensor:
    return output.reshape(-1, output.shape[-1] if output.ndim > 1 else 1).double()


class _Numbers:
    """Scalars of a device that are read together."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []

    def add(self, value: Tensor | None) -> int | None:
        if value is None:
            return None
        self._tensors.append(value.detach().reshape(()))
        return len(self._tensors) - 1

    def add_all(self, values: Any) -> list[Any]:
        return [self.add(value) for value in values]

    def read(self) -> list[float]:
        return read_step([], 0, 0.0, self._tensors)[1]


def _at(read: list[float], place: int | None) -> float | None:
    return None if place is None else read[place]


def _call(call: Any, values: list[float | None]) -> Call:
    return Call(
        layer=call.layer,
        weights=call.weights,
        kind=call.kind,
        function=call.function,
        depth=call.depth,
        sources=call.sources,
        input_rms=values[0],
        output_rms=values[1] if values[1] is not None else math.nan,
        output_absmax=values[2] if values[2] is not None else math.nan,
        shape=call.shape,
        dtype=str(call.dtype).removeprefix("torch."),
        normalised=call.normalised,
        activation=call.activation,
        grad_rms=values[3],
    )


SHAPES = ("View", "Reshape", "Alias", "Clone", "UnsafeView", "Squeeze", "Unsqueeze")
"""Nodes of a graph that change no number."""


def reduction_of(loss: Tensor) -> str:
    """How the batch was put together, by torch's own loss function at the end of the graph or by a sum over one."""
    node, after = loss.grad_fn, []
    while node is not None:
        its_own = {1: "mean", 2: "sum"}.get(getattr(node, "_saved_reduction", 0), "")
        if its_own:
            return its_own
        if "Loss" in node.name():  # one number a sample; CTC adds them up in steps of their own
            return "sum" if after == ["SumBackward0"] else ""
        if len(node.next_functions) != 1:
            return ""
        if not node.name().startswith(SHAPES):
            after.append(node.name())
        node = node.next_functions[0][0]
    return ""
