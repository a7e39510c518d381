"""Weights whose units start alike: does training tell them apart?"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..evidence import Pass, WeightProfile
from ..measure.forward_trace import layer_of
from ..measure.objective import Objective
from ..measure.undisturbed import undisturbed
from .units import units_alike

STEPS = 4
"""Steps after which units that can differ do: a weight of zeros in front of another needs the second one first."""

LENGTH = 0.05
"""Length of such a step against the weight's own size."""


def weight_profiles(base: Pass, objective: Objective | None = None) -> tuple[WeightProfile, ...]:
    """Every weight that multiplies and has several units.

    Those whose units are alike, and get the same gradient, are tried for some steps if the loss can be computed again.
    Without that a gradient of zeros says nothing: the weights behind may have to move first.
    """
    suspects = [name for name, units in base.units.items() if units.alike and units.grads_alike]
    if objective is None:
        stays = {name: base.units[name].grad_rms > 0 for name in suspects}
    else:
        stays = _after_some_steps(objective, suspects) if suspects else {}
    return tuple(
        WeightProfile(name, layer_of(name), units.shape, units.rms, units.alike, stays.get(name, False))
        for name, units in base.units.items()
    )


def _after_some_steps(objective: Objective, suspects: Sequence[str]) -> dict[str, bool]:
    """Whether the units are still alike after some steps that move every weight by a share of its own size."""
    named = dict(objective.model.named_parameters())
    params = [param for param in named.values() if param.requires_grad]
    kept = [param.detach().clone() for param in params]
    try:
        with undisturbed(objective.model):
            for _ in range(STEPS):
                grads = torch.autograd.grad(objective(), params, allow_unused=True)
                with torch.no_grad():
                    for param, grad in zip(params, grads, strict=True):
                        if grad is not None:
                            param.sub_(_step(param, grad))
        alike = units_alike([named[name] for name in suspects])
        return {name: same for name, (_, same) in zip(suspects, alike, strict=True)}
    finally:
        with torch.no_grad():
            for param, value in zip(params, kept, strict=True):
                param.copy_(value)


def _step(param: Tensor, grad: Tensor) -> Tensor:
    size = torch.linalg.vector_norm(grad.double())
    reach = LENGTH * (torch.linalg.vector_norm(param.double()) + 0.1 * param.numel() ** 0.5)
    factor = torch.where((size > 0) & torch.isfinite(size), reach / size.clamp(min=1e-300), 0.0)
    return torch.nan_to_num(grad.double() * factor).to(param.dtype)
