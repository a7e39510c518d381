"""Gates of cells that are written by hand, opened until what comes early in a sequence is remembered."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .._readback import read_tensor_scalar
from .._tap import quiet
from ..measure.forward_trace import ForwardTrace
from ..measure.undisturbed import undisturbed
from ..preflight.memory import LookedUp
from ..preflight.variants import mapped
from .tried import Tried

GATES = 4
"""Gates at the most that share a bias."""

MOST = 12
"""Biases that are tried at the most, each upwards and downwards."""

ROUNDS = 2
"""Gates of one model that are opened at the most, one after the other."""

BETTER = 1.0
"""Nats by which the usual gradient of an input has to grow, for a gate to be the one that forgets."""


@quiet()
def open_gates_(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], longest: int) -> int:
    r"""Set the bias of the gate that forgets to :math:`\pm \log u`, u uniform between 1 and `longest` - 1.

    Which gate that is, and whether it remembers when it is open or when it is shut, is found by trying: what counts is
    the mean logarithm of the gradient that each input gets, as a part of the largest.

    Args:
        module: a model that is called with floating sequences, or with tokens that it looks up.
        args: what it is called with.
        kwargs: the same, by name.
        longest: steps over which something may have to be remembered.

    Returns:
        How many gates were set.

    References:
        Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018.
    """
    with Tried() as tried:
        found = _opened(module, args, kwargs, longest, tried)
    for gate, value in found:
        gate.copy_(value)
    return len(found)


def _opened(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], longest: int, tried: Tried
) -> list[tuple[Tensor, Tensor]]:
    """The gates that forget, one after the other, and what opens them."""
    units = _gate_widths(module, args, kwargs)
    gates = list(_gates(module, units))[: MOST * GATES]
    reached = arriving_level(module, args, kwargs) if gates else None
    found: list[tuple[Tensor, Tensor]] = []
    if reached is None:
        return found
    for _ in range(ROUNDS):
        best: tuple[float, Tensor, Tensor] | None = None
        for gate in gates:
            before = gate.clone()
            remembers = torch.empty_like(gate).uniform_(1.0, max(2.0, longest - 1.0)).log_()
            for sign in (1.0, -1.0):
                tried.set(gate, sign * remembers)
                level = arriving_level(module, args, kwargs)
                if level is not None and level > (reached + BETTER if best is None else best[0]):
                    best = level, gate, gate.clone()
            tried.set(gate, before)
        if best is None:
            break
        reached, gate, value = best
        tried.set(gate, value)
        found.append((gate, value))
    return found


def _gate_widths(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> set[int]:
    trace = ForwardTrace(dict(module.named_parameters()), module.buffers())
    with undisturbed(module), torch.no_grad(), trace:
        module(*args, **kwargs)
    return {call.units for call in trace.activations if call.function.startswith("sigmoid")}


def _gates(module: nn.Module, units: set[int]) -> Iterator[Tensor]:
    """The parts of vectors that may be a gate's bias, to be written: by `data`, which no version counts."""
    for name, param in module.named_parameters():
        if param.ndim != 1 or name.rpartition(".")[2] == "weight":
            continue
        parts = next((n for n in range(1, GATES + 1) if len(param) % n == 0 and len(param) // n in units), 0)
        if parts:
            yield from param.data.chunk(parts)


@quiet()
def arriving_level(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    """How much of the gradient is left, in nats, of the usual input against the one that gets most."""
    sizes = _arriving(module, args, kwargs)
    if sizes is None:
        return None
    largest = sizes.amax().clamp(min=1e-30)
    found = read_tensor_scalar((sizes / largest).clamp(min=1e-30).log().mean())
    return None if found is None or math.isnan(found) else found


def _arriving(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The size of the gradient of each entry of the inputs, or of what tokens are looked up to."""
    entries: list[Tensor] = []

    def watched(value: Tensor) -> Tensor:
        if not value.is_floating_point() or value.requires_grad or value.ndim < 2:
            return value
        entries.append(value.detach().clone().requires_grad_())
        return entries[-1]

    with undisturbed(module), torch.enable_grad():
        args, kwargs = mapped(args, watched), mapped(kwargs, watched)
        with LookedUp(entries):
            given = module(*args, **kwargs)
        outputs: list[Tensor] = []
        mapped(given, lambda value: outputs.append(value) or value)
        ends = [each.float().square().sum() for each in outputs if each.requires_grad]
        if not ends or not entries:
            return None
        grads = torch.autograd.grad(sum(ends[1:], ends[0]), entries, allow_unused=True)
    sizes = [(each.norm(dim=-1) if each.ndim > 2 else each.abs()).flatten() for each in grads if each is not None]
    return torch.cat(sizes) if sizes else None
