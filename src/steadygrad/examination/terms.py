"""What a loss adds up, and by what the script has multiplied each part of it."""

from typing import Any

import torch
from torch import Tensor

from .._readback import read_tensor_scalar
from .._tap import TapedPass, is_loss_scale
from ..evidence import Term
from ..measure.undisturbed import undisturbed
from .taped_objective import TapedObjective

MOST = 16
"""Terms beyond which a sum is one of samples, not of losses."""


def terms_of(taped: TapedPass, objective: TapedObjective) -> tuple[Term, ...]:
    """The terms of a loss; a loss scale is none of the script's factors.

    Args:
        taped: the pass.
        objective: the same as a function; its model is left as it was.
    """
    found = taped.terms
    if not 0 < len(found) <= MOST:
        return ()
    factors = [1.0 if is_loss_scale(factor) else factor for _, _, factor in found]
    # A single one is known without computing anything again.
    values = _values(taped, objective) if len(found) > 1 else {}
    whole = read_tensor_scalar(taped.loss)
    return tuple(
        Term(name, factor, values.get(place, (whole or 0.0) / multiplied if multiplied else 0.0))
        for (place, name, multiplied), factor in zip(found, factors, strict=True)
    )


def _values(taped: TapedPass, objective: TapedObjective) -> dict[Any, float]:
    """The single numbers of a pass, by their place on the tape."""
    made: dict[Any, Tensor] = {}
    with undisturbed(objective.model), torch.no_grad():
        taped.replay(on_made=made.__setitem__)
    return {place: value for place, each in made.items() if (value := read_tensor_scalar(each)) is not None}
