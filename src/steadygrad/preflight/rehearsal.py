"""A few real steps of the user's optimizer on the one batch, and everything put back."""

import copy
import math
import types
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from .._clock import own_seconds
from .._i18n import say
from .._readback import read_tensor_scalar
from .._snapshot import TrainingParts, TrainingSnapshot
from ..evidence import Rehearsal
from ..measure.objective import Objective
from ..measure.undisturbed import undisturbed

STEPS = 16
"""Steps of a rehearsal: what diverges does so by then, and a sound one has moved the loss of its one batch."""

FEWEST = 5
"""Steps that it takes to tell."""


def rehearse(
    objective: Objective,
    optimizer: Optimizer,
    factor: float,
    batch: Any = None,
    *,
    steps: int = STEPS,
    seconds: float = math.inf,
    longest: float = math.inf,
) -> Rehearsal:
    """Train on one batch for a few steps; model, optimizer, buffers and random numbers are put back bit for bit.

    Args:
        objective: the model with its loss.
        optimizer: the user's, with its own rates.
        factor: by which the rates are multiplied meanwhile.
        batch: another batch of the same form; None for the objective's own.
        steps: how many at the most.
        seconds: no step is begun later than this, once there were a few.
        longest: norm to which all gradients together are clipped before each.
    """
    model = objective.model
    replica = _replica(optimizer)
    parts = TrainingParts([param for group in replica.param_groups for param in group["params"]], replica, [model])
    snapshot = TrainingSnapshot()
    snapshot.take(0, parts)
    began = own_seconds()
    losses: list[float] = []
    try:
        with undisturbed(model):
            for group in replica.param_groups:
                if "lr" in group:
                    group["lr"] = group["lr"] * factor
            for step in range(steps):
                if step >= FEWEST and own_seconds() - began > seconds:
                    break
                losses.append(_step(objective, replica, batch, longest))
                if not math.isfinite(losses[-1]):
                    break
            losses.append(_read(objective(batch)))
    finally:
        snapshot.restore_(parts)
    return Rehearsal(factor, tuple(losses))


def _replica(optimizer: Optimizer, known: dict[int, Any] | None = None) -> Optimizer:
    """An optimizer of its own that steps the same parameters: what it counts, and where, only its author knows.

    Raises:
        TypeError: it holds functions, which may belong to the original, or to others that are told of its steps.
    """
    if known is None:
        known = {id(param): param for group in optimizer.param_groups for param in group["params"]}
    # Not by deepcopy of the whole: what torch lets an optimizer take along is its groups and its state.
    known[id(optimizer)] = replica = object.__new__(type(optimizer))
    held = {name: value for name, value in vars(optimizer).items() if name != "step"}  # a scheduler's, of the original
    for name, value in held.items():
        if isinstance(value, Optimizer) and id(value) not in known:
            _replica(value, known)
        elif callable(value) and not isinstance(value, type) and not _knows_nobody(value):
            raise TypeError(
                say(
                    "{function} is a function: a copy might not step by itself",
                    function=f"{type(optimizer).__name__}.{name}",
                )
            )
    vars(replica).update(copy.deepcopy(held, known))
    for hooks in ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks"):
        getattr(replica, hooks, {}).clear()
    return replica


def _knows_nobody(function: Any) -> bool:
    """Whether a function stands in a module, and works on what it is given: it belongs to no optimizer."""
    plain = isinstance(function, types.FunctionType) and function.__closure__ is None
    return plain and function.__qualname__ == function.__name__


def _step(objective: Objective, optimizer: Optimizer, batch: Any, longest: float) -> float:
    first: list[float] = []

    def closure() -> torch.Tensor:
        with torch.enable_grad():
            optimizer.zero_grad()
            loss = objective(batch)
            loss.backward()
        if longest < math.inf:
            clip_grad_norm_([param for group in optimizer.param_groups for param in group["params"]], longest)
        first.append(_read(loss))
        return loss

    if _needs_closure(optimizer):
        optimizer.step(closure)  # pyright: ignore[reportArgumentType, reportCallIssue]
    else:
        closure()
        optimizer.step()
    return first[0]


def _read(loss: torch.Tensor) -> float:
    value = read_tensor_scalar(loss.detach())
    return math.nan if value is None else value


def _needs_closure(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, torch.optim.LBFGS)
