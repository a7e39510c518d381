"""Weights whose units start alike: does training tell them apart?"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from .._readback import read_step
from ..measure.forward_trace import layer_of
from ..measure.objective import Objective
from ..measure.undisturbed import undisturbed
from .evidence import WeightProfile

STEPS = 4
"""Steps after which units that can differ do: a weight of zeros in front of another needs the second one first."""

LENGTH = 0.05
"""Length of such a step against the weight's own size."""


def weight_profiles(objective: Objective) -> tuple[WeightProfile, ...]:
    """Every weight with several units; those that start alike are tried."""
    named = _with_units(objective.model.named_parameters())
    if not named:
        return ()
    params = [param for _, param in named]
    sizes, likeness = _read(params)
    suspects = [place for place, alike in enumerate(likeness) if alike]
    stays = _after_some_steps(objective, [params[place] for place in suspects]) if suspects else []
    tried = dict(zip(suspects, stays, strict=True))
    return tuple(
        WeightProfile(name, layer_of(name), tuple(param.shape), sizes[place], likeness[place], tried.get(place))
        for place, (name, param) in enumerate(named)
    )


def live_weight_profiles(params: Mapping[str, Tensor]) -> tuple[WeightProfile, ...]:
    """The same of weights whose gradients lie there: alike and not zero, they keep units together."""
    named = [(name, param) for name, param in _with_units(params.items()) if param.grad is not None]
    if not named:
        return ()
    sizes, likeness = _read([param for _, param in named])
    grads, stuck = _read([param.grad for _, param in named if param.grad is not None])
    return tuple(
        WeightProfile(name, layer_of(name), tuple(param.shape), size, alike, alike and together and grad > 0)
        for (name, param), size, alike, grad, together in zip(named, sizes, likeness, grads, stuck, strict=True)
    )


def _with_units(params: Iterable[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    return [(name, param) for name, param in params if param.ndim > 1 and param.requires_grad and param.shape[0] > 1]


def _read(params: Sequence[Tensor]) -> tuple[list[float], list[bool]]:
    with torch.no_grad():
        sizes = [param.double().square().mean().sqrt() for param in params]
        differences = [(param - param[:1]).abs().max().double() for param in params]
    numbers = read_step([], 0, 0.0, [*sizes, *differences])[1]
    count = len(params)
    return numbers[:count], [numbers[count + i] <= 1e-6 * numbers[i] for i in range(count)]


def _after_some_steps(objective: Objective, suspects: Sequence[Tensor]) -> list[bool]:
    """Whether the units are still alike after some steps that move every weight by a share of its own size."""
    params = [param for param in objective.model.parameters() if param.requires_grad]
    kept = [param.detach().clone() for param in params]
    try:
        with undisturbed(objective.model):
            for _ in range(STEPS):
                grads = torch.autograd.grad(objective(), params, allow_unused=True)
                with torch.no_grad():
                    for param, grad in zip(params, grads, strict=True):
                        if grad is not None:
                            param.sub_(_step(param, grad))
        return _read(suspects)[1]
    finally:
        with torch.no_grad():
            for param, value in zip(params, kept, strict=True):
                param.copy_(value)


def _step(param: Tensor, grad: Tensor) -> Tensor:
    size = torch.linalg.vector_norm(grad.double())
    reach = LENGTH * (torch.linalg.vector_norm(param.double()) + 0.1 * param.numel() ** 0.5)
    factor = torch.where((size > 0) & torch.isfinite(size), reach / size.clamp(min=1e-300), 0.0)
    return torch.nan_to_num(grad.double() * factor).to(param.dtype)
