"""The batch of a pass that went wrong: which one it was, and which of its samples weighed most. No sample is kept."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .._readback import read_array
from .._tap import Entry, TapedPass
from ..measure.undisturbed import undisturbed
from .taped_objective import TapedObjective

WORST = 8
"""Samples with the largest loss that are named."""

REDUCING = frozenset({"mean", "sum"})

WITHOUT_REDUCTION = frozenset(
    getattr(F, name)
    for name in ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div")
) | {F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.poisson_nll_loss, F.gaussian_nll_loss}


def identity(taped: TapedPass) -> list[dict[str, Any]]:
    """Name, shape, dtype and a digest of each tensor of the batch: enough to find it again in a data set.

    Args:
        taped: the pass; its batch as it is now.
    """
    found = []
    for name, tensor in tensors_of_batch(taped).items():
        digest = hashlib.sha256(read_array(tensor).tobytes()).hexdigest()[:16]
        shape = list(tensor.shape)
        found.append(
            {"name": name, "shape": shape, "dtype": str(tensor.dtype).removeprefix("torch."), "sha256": digest}
        )
    return found


def tensors_of_batch(taped: TapedPass) -> Mapping[str, Tensor]:
    """What the models and the functions behind them were given from outside, as the batch is: of some size, strided."""
    met = {**{f"input {name}": each for name, each in taped.inputs.items()}, **taped.others}
    used = {id(each) for each in met.values()}
    given = {**met, **{name: each for name, each in taped.outside.items() if id(each) not in used and name not in met}}
    return {name: each.detach() for name, each in given.items() if each.layout is torch.strided and each.ndim}


def worst_samples(taped: TapedPass, objective: TapedObjective) -> dict[str, Any] | None:
    """Loss by sample, where the last function of the pass says how: the largest ones, and the median.

    Args:
        taped: the pass.
        objective: the same as a function; its model is left as it was.

    Returns:
        `samples`, `losses` and `median`; None where the loss is no mean or sum over samples that torch knows.
    """
    last: list[tuple[Entry, tuple[Any, ...], dict[str, Any]]] = []
    with undisturbed(objective.model), torch.no_grad():
        taped.replay(on_call=lambda entry, args, kwargs: last.append((entry, args, kwargs)))
        place, sign = taped.reduction()
        losses = _unreduced(*last[place]) if last else None
        if losses is None or not losses.ndim or len(losses) < 2:
            return None
        values = sign * read_array(losses.reshape(len(losses), -1).double().mean(1))
    order = sorted(range(len(values)), key=lambda place: -_size(float(values[place])))[:WORST]
    median = sorted(float(value) for value in values if math.isfinite(value))
    return {
        "samples": order,
        "losses": [float(values[place]) for place in order],
        "median": median[len(median) // 2] if median else None,
    }


def _unreduced(entry: Entry, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    if entry.name in REDUCING and len(args) == 1 and not kwargs and isinstance(args[0], Tensor):
        return args[0].detach()
    if entry.call in WITHOUT_REDUCTION and len(args) <= 2:
        return entry.call(*args, **{**kwargs, "reduction": "none"}).detach()
    return None


def _size(value: float) -> float:
    return value if math.isfinite(value) else math.inf
