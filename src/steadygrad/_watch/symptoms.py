"""What lies there at an alarm without computing anything again: rates, moments, clips, gradients of the step before."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from .._readback import all_true, read_step
from .._tap import ByHand, params_of
from ..measure import second_moment_ratio, tensor_norms

MATRICES = 4
"""Parameters, the largest, whose gradients are looked at when a backward pass begins."""

USUAL = 7.3
"""Times the root of the second moment that a first one may be, by the usual betas; others may have been set since."""

SLACK = 3.0
"""Times what is possible that a first moment has to be, for rounding not to have made it so."""

OF_NOW = 0.02
"""The part that the gradient of now has in a second moment of the script's own, whose beta is not known."""

LEAST = 1e-12
"""A first moment below which the square may have underflowed."""


def moments(optimizer: Optimizer) -> dict[str, dict[str, float]]:
    """Of each kind of state that is as large as its parameter: norm, smallest value, how many are not finite."""
    kinds: dict[str, list[Tensor]] = {}
    for param, state in optimizer.state.items():
        for name, value in state.items() if isinstance(state, dict) else ():
            if isinstance(value, Tensor) and value.shape == param.shape and _is_measurable(value):
                kinds.setdefault(name, []).append(value.detach())
    return {name: _profile(values) for name, values in kinds.items()}


def unmatched(optimizer: Optimizer) -> float | None:
    r"""The part of the second moments of torch's Adams that no gradients can have made beside the first moments there.

    Whatever the gradients were, by the inequality of Cauchy and Schwarz

    .. math:: m_t^2 \le \frac{(1 - \beta_1)^2}{(1 - \beta_2) (1 - \beta_1^2 / \beta_2)} \, v_t

    None where there are no such moments; optimizers of others may mean something else by their names.
    """
    wrong: list[Tensor] = []
    count = 0
    for group in optimizer.param_groups if type(optimizer).__module__.startswith("torch.optim") else ():
        first, second = group.get("betas") or (1.0, 1.0)
        if not 0.0 <= float(first) ** 2 < float(second) < 1.0:
            continue
        most = max(USUAL, (1.0 - first) / math.sqrt((1.0 - second) * (1.0 - first**2 / second)))
        for param in group["params"]:
            state = optimizer.state.get(param) or {}
            mean, square = state.get("exp_avg"), state.get("exp_avg_sq")
            if not (isinstance(mean, Tensor) and isinstance(square, Tensor) and mean.shape == square.shape):
                continue
            if square.dtype == torch.float16:  # squares of sound gradients are below its range
                continue
            if _is_measurable(mean) and _is_measurable(square):
                size = mean.detach().double().abs()
                possible = SLACK * most * square.detach().double().clamp(min=0.0).sqrt()
                wrong.append(((size > LEAST) & (size > possible)).sum().double())
                count += mean.numel()
    return sum(read_step([], 0, 0.0, wrong)[1]) / count if wrong else None


def variances(roots: Sequence[nn.Module]) -> dict[str, float]:
    """The smallest value of each running variance that is used as it is and is none: below zero, or zero everywhere."""
    found = {}
    for root in roots:
        for path, module in root.named_modules():
            variance = getattr(module, "running_var", None)
            if _is_set(variance) and variance.numel() and not module.training:
                ends = variance.detach().aminmax()
                least, largest = read_step([], 0, 0.0, [end.double() for end in ends])[1]
                if largest <= 0.0 or least < -getattr(module, "eps", 0.0):
                    found[f"{path}.running_var".lstrip(".")] = least
    return found


def uncollected(roots: Sequence[nn.Module]) -> list[str]:
    """The norms that use running statistics which nobody has ever collected: those of a checkpoint without buffers."""
    return [
        path or type(module).__name__
        for root in roots
        for path, module in root.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase) and not module.training and _is_fresh(module)
    ]


def _is_fresh(norm: nn.modules.batchnorm._NormBase) -> bool:
    mean, variance, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
    if not (_is_set(mean) and _is_set(variance) and _is_set(count)):
        return False
    ends = [count, mean.abs().max(), (variance - 1.0).abs().max()]
    return not any(read_step([], 0, 0.0, [end.detach().double() for end in ends])[1])


def lag(optimizer: Optimizer, coefficient: float) -> dict[str, float]:
    """How far gradients are from what Adam's second moment expects: the largest ratio of a matrix, and the median.

    `coefficient` is what they have been multiplied by already: the ratio is that of the whole ones.
    """
    try:
        by_hand = isinstance(optimizer, ByHand)
        params, ratios = _by_hand(optimizer) if by_hand else second_moment_ratio(optimizer)
    except (ValueError, KeyError, TypeError):
        return {}
    chosen = [ratio for param, ratio in zip(params, ratios, strict=True) if param.numel() > 1]
    if not chosen:
        return {}
    scale = 1.0 / coefficient if coefficient > 0 else 1.0
    numbers = sorted(scale * ratio for ratio in read_step([], 0, 0.0, [ratio.detach() for ratio in chosen])[1])
    return {"largest": numbers[-1], "median": numbers[len(numbers) // 2]}


def _by_hand(optimizer: ByHand) -> tuple[list[Tensor], list[Tensor]]:
    """The same of what a script keeps itself: what is nowhere negative, and not all zero, is a mean of squares."""
    params: list[Tensor] = []
    ratios: list[Tensor] = []
    for param, grad in zip(params_of(optimizer), optimizer.gradients(), strict=True):
        for moment in optimizer.state[param].values() if grad is not None else ():
            if grad is not None and all_true(moment >= 0) and not all_true(moment == 0):
                square = grad.detach().double().square()
                expected = torch.lerp(moment.double(), square, OF_NOW).clamp(min=torch.finfo(torch.float32).tiny)
                params.append(param)
                ratios.append((square / expected).mean().sqrt())
    return params, ratios


def rates(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The plain options of each group: rates, betas, momentum."""
    return [{key: _plain(value) for key, value in group.items() if key != "params"} for group in optimizer.param_groups]


def grads_lying_there(params: list[Tensor]) -> Tensor | None:
    """The norm of the gradients that some matrices have before a backward pass; None if they have none."""
    grads = [param.grad for param in params if param.grad is not None and _is_measurable(param.grad)]
    if not grads:
        return None
    with torch.no_grad():
        parts = [torch.linalg.vector_norm(norms.float()) for _, norms in tensor_norms(grads)]
        return torch.linalg.vector_norm(torch.stack([part.to(parts[0].device) for part in parts]))


def largest(params: list[Tensor]) -> list[Tensor]:
    """The parameters that are looked at."""
    return sorted(params, key=lambda param: -param.numel())[:MATRICES]


def _is_set(buffer: Any) -> TypeGuard[Tensor]:
    """Whether there is a buffer, and it has a shape: that of a lazy norm has none before its first call."""
    return isinstance(buffer, Tensor) and not is_lazy(buffer)


def _is_measurable(value: Tensor) -> bool:
    return value.numel() > 0 and value.is_floating_point() and value.layout == torch.strided


def _profile(values: list[Tensor]) -> dict[str, float]:
    with torch.no_grad():
        smallest = torch.stack([value.amin().double() for value in values])
        bad = torch.stack([(~torch.isfinite(value)).sum().double() for value in values]).sum()
        squares = torch.stack([torch.linalg.vector_norm(value, dtype=torch.float64).square() for value in values]).sum()
    least, count, total = read_step([], 0, 0.0, [smallest.amin(), bad, squares])[1]
    return {"norm": math.sqrt(total) if total >= 0 else total, "smallest": least, "nonfinite": count}


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return read_step([], 0, 0.0, [value.detach().reshape(-1)[0]])[1][0] if value.numel() == 1 else None
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (int, float, bool, str)) else None
