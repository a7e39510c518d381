"""Sharpness of the first loss against what the optimizer's steps bear."""

import math
from typing import Any

from torch.optim import Optimizer

from .._i18n import say
from .._readback import read_tensor_scalar
from ..evidence import Edge
from ..measure.hessian import Loss
from ..measure.objective import Objective
from ..measure.stability import step_sharpness
from ..measure.undisturbed import undisturbed

PRODUCTS = 12
"""Products with the Hessian: enough for a tenth of the value."""


def edge(objective: Objective, optimizer: Optimizer, batch: Any, seconds: float, factor: float = 1.0) -> Edge:
    """How close the next steps on a batch (None: the objective's own) are to the edge, where gradients are scaled by a
    `factor` before them; the model is left as it was."""
    with undisturbed(objective.model):
        return live_edge(lambda: factor * objective(batch), optimizer, seconds)


def live_edge(loss: Loss, optimizer: Optimizer, seconds: float) -> Edge:
    """How close the first steps are to the edge of stability.

    Args:
        loss: 0-d with its graph, or a function that computes one.
        optimizer: the one that will train it.
        seconds: that the products may take.

    Raises:
        ValueError: nothing is known of this optimizer's limit, or an operation has no second derivative.
    """
    found = step_sharpness(loss, optimizer, iterations=PRODUCTS, tolerance=0.1, seconds=seconds)
    if found is None:
        raise ValueError(say("the limit of {optimizer} is not known", optimizer=type(optimizer).__name__))
    ratio = read_tensor_scalar(found.ratio)
    rate = read_tensor_scalar(optimizer.param_groups[0].get("lr"))
    return Edge(
        optimizer=type(optimizer).__name__,
        ratio=math.nan if ratio is None else ratio,
        sharpness=read_tensor_scalar(found.sharpness) or math.nan,
        limit=found.limit,
        formula=found.formula,
        lr=math.nan if rate is None else rate,
    )
