"""Measures everything that the rules judge, each thing by itself: what cannot be measured is said, not fatal."""

import math
from collections.abc import Callable, Mapping
from typing import Any
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._clock import own_seconds
from .._i18n import later, say
from .._readback import read_tensor_scalar
from ..evidence import Evidence, Pass, Rehearsal, TensorProfile
from ..evidence.chain import Layer, layers
from ..measure.objective import Objective
from ..measure.origin import OriginTrace
from ..measure.undisturbed import undisturbed
from .batch_profile import profile
from .curvature import edge
from .memory import memory
from .observed import observe, traced
from .recurrences import RecurrenceProbe, may_recur
from .rehearsal import rehearse
from .symmetry import weight_profiles
from .variants import batch_size, doubled, shortened, standardised

BUDGET = 6.0
"""Seconds that the expensive parts (curvature, rehearsals) may take together."""

SLOW = 0.25
"""Seconds of a pass from which curvature and steps are taken on fewer samples."""

FEWEST_ROWS = 2
"""Samples that it takes at least."""

UNUSUAL = (0.03, 10.0)
"""Root mean squares of a tensor of the batch between which its scale needs no second look."""

SEQUENCE = 8
"""Calls of a layer from which it may be what reads a sequence, step by step."""

UNEVEN = 30.0
"""Ratio of the largest feature to the usual one from which the scale of the inputs is looked at."""


def gather(
    objective: Objective,
    optimizer: Optimizer | None,
    tell: Callable[[str], None],
    budget: float = BUDGET,
    longest: float = math.inf,
) -> Evidence:
    """Everything about one model, batch and loss.

    Args:
        objective: model, batch and loss.
        optimizer: the one that will train it, or None.
        tell: is told what is measured now.
        budget: seconds that curvature and steps may take together.
        longest: norm to which all gradients together are clipped before a step, where its size depends on theirs.
    """
    tell(say("one forward and backward pass"))
    began = own_seconds()
    base = observe(objective)
    fewer = _affordable(objective, own_seconds() - began)
    evidence = Evidence(
        base,
        *chain_of(base, dict(objective.model.named_parameters())),
        rows=batch_size(objective),
        inputs=profile(objective.inputs, "inputs"),
        targets=profile(objective.target, "target"),
        optimizer="" if optimizer is None else type(optimizer).__name__,
    )
    trying = Trying(evidence.skipped, tell)
    if not base.finite:
        evidence.origin = trying(later("the origin of what is not finite"), lambda: _origin(objective))
    if any(unusual(each) for each in evidence.inputs):
        evidence.standard_inputs = trying(
            later("the same pass with standardised inputs"),
            lambda: observe(objective, standardised(objective, inputs=True)),
        )
    if any(max(each.rms, abs(each.mean)) > UNUSUAL[1] for each in evidence.targets):
        evidence.standard_target = trying(
            later("the same pass with a standardised target"),
            lambda: observe(objective, standardised(objective, target=True)),
        )
    evidence.doubled = trying(later("the batch with each sample twice"), lambda: _doubled(objective, fewer))
    evidence.weights = trying(later("symmetry of the weights"), lambda: weight_profiles(base, objective)) or ()
    found = (
        trying(later("recurrent layers"), lambda: _recurrences(objective, base))
        if may_recur(objective.model, base)
        else None
    )
    if found is not None:
        evidence.recurrences, evidence.time_gradients = found
    # A state that begins at a plain zero is multiplied from the second step on; one that has no weights of its own is
    # not, but what it reads may be.
    lengths = {each.steps + more for each in evidence.recurrences for more in (0, 1)}
    lengths |= {each.calls for each in evidence.chain if each.calls >= SEQUENCE}
    if lengths:
        evidence.memory = trying(later("where in time the target is decided"), lambda: memory(objective, lengths))
    if optimizer is not None and base.finite:
        factor = min(1.0, longest / base.grad_norm) if base.grad_norm else 1.0
        evidence.edge = trying(later("sharpness"), lambda: edge(objective, optimizer, fewer, budget / 2, factor))
        evidence.rehearsals = _rehearsals(objective, optimizer, fewer, trying, budget / 2, longest)
    elif optimizer is None:
        evidence.skipped[later("learning rate")] = later("no optimizer was given")
    return evidence


def chain_of(base: Pass, params: Mapping[str, Tensor]) -> tuple[list[Layer], dict[str, float]]:
    """The layers of a pass, and the root mean square of each one's first weight."""
    first: dict[str, str] = {}
    for call in base.calls:
        if call.weights[0] in base.weight_norms:
            first.setdefault(call.layer, call.weights[0])
    sizes = {layer: base.weight_norms[name] / math.sqrt(params[name].numel()) for layer, name in first.items()}
    return layers(base, {name: _fan_in(params[name]) for name in first.values()}), sizes


def _fan_in(weight: Tensor) -> int:
    """How many numbers one output of a weight is made of."""
    return weight.shape[1] * math.prod(weight.shape[2:]) if weight.ndim > 1 else weight.numel()


class Trying:
    """Measures one thing, or notes why it could not be: in English, for a recording; pages and terminals say it."""

    def __init__(self, skipped: dict[str, str], tell: Callable[[str], None] = lambda line: None) -> None:
        self._skipped = skipped
        self._tell = tell

    def __call__(self, what: str, measure: Callable[[], Any]) -> Any:
        self._tell(say(what))
        try:
            return measure()
        except Exception as error:
            line = str(error).strip().splitlines()
            self._skipped[what] = f"{type(error).__name__}: {line[0] if line else ''}"[:300]
            return None


def unusual(each: TensorProfile) -> bool:
    """Whether the scale of an input deserves a second look."""
    return _is_unusual(each.rms) or each.feature_ratio > UNEVEN


def _is_unusual(size: float) -> bool:
    return not (size == 0.0 or UNUSUAL[0] <= size <= UNUSUAL[1])


def _affordable(objective: Objective, seconds: float) -> Any:
    """Of a batch whose pass takes long, as many samples as are taken fast; None for all of them."""
    rows = batch_size(objective)
    if rows is None or seconds < SLOW or not objective.other_sizes:
        return None
    fewer = shortened(objective, max(FEWEST_ROWS, int(rows * SLOW / seconds)))
    try:
        with undisturbed(objective.model), torch.no_grad():
            objective(fewer)
    except Exception:  # a batch whose parts belong together in another way
        return None
    return fewer


def _doubled(objective: Objective, fewer: Any) -> float:
    """The loss of a batch with each sample twice, over that of the batch."""
    whole = objective.batch if fewer is None else fewer
    twice = doubled(objective, whole) if objective.other_sizes else None
    if twice is None:
        raise ValueError(say("which dimension the samples lie along is not to be seen"))
    # The trace leaves dropout out, which would be noise.
    with undisturbed(objective.model), traced(objective.model), catch_warnings():
        simplefilter("ignore")  # of shapes that do not fit: then samples lie elsewhere
        once, double = (read_tensor_scalar(objective(batch).detach()) for batch in (whole, twice))
    return double / once if once and double is not None else math.nan


def _rehearsals(
    objective: Objective, optimizer: Optimizer, fewer: Any, trying: Trying, seconds: float, longest: float
) -> tuple[Rehearsal, ...]:
    """Steps at the rate that was chosen, and at lower ones if those make it worse."""
    found: list[Rehearsal] = []
    for factor, words in (
        (1.0, later("a few steps of the optimizer")),
        (0.1, later("the same at a tenth")),
        (0.01, later("and a hundredth")),
    ):
        made = trying(
            words,
            lambda factor=factor: rehearse(objective, optimizer, factor, fewer, seconds=seconds, longest=longest),
        )
        if made is None:
            break
        found.append(made)
        if not made.diverged:
            break
    return tuple(found)


def _recurrences(objective: Objective, base: Pass) -> Any:
    with undisturbed(objective.model), RecurrenceProbe(objective.model) as probe:
        objective().backward()
        return probe.measure(base)


def _origin(objective: Objective) -> Any:
    with undisturbed(objective.model), OriginTrace(objective.model) as trace:
        loss = objective()
        trace.follow(loss)
        if math.isfinite(read_tensor_scalar(loss.detach()) or 0.0):
            loss.backward()
        return trace.origin()
