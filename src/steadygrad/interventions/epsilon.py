"""Operations whose value or derivative is not finite at the edge of their domain, kept away from it."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .functions import Functions, holds_anywhere, is_float

EPSILON = 1e-8
"""How far arguments are kept away from where an operation fails."""


class AddEpsilon(Functions):
    """Arguments of logarithms, roots, quotients, powers and inverse functions are kept inside their domain."""

    remedy = "add-epsilon-inside-the-operation"

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Mend the argument on which the operation depends."""
        mend = _MENDS.get(getattr(func, "__name__", ""))
        if mend is None or not any(isinstance(each, Tensor) and each.requires_grad for each in args):
            return func(*args, **kwargs)
        changed = mend(func, args, kwargs)
        if changed is None:
            return func(*args, **kwargs)
        self.times += 1
        return changed


Mend = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]


def _at_least(least: float) -> Mend:
    def mend(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        value = args[0]
        if not is_float(value) or not holds_anywhere(value < least):
            return None
        return func(value.clamp(min=least), *args[1:], **kwargs)

    return mend


def _within(most: float) -> Mend:
    def mend(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        value = args[0]
        if not is_float(value) or not holds_anywhere(value.abs() > most):
            return None
        return func(value.clamp(-most, most), *args[1:], **kwargs)

    return mend


def _quotient(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    below = args[1]
    if not is_float(below) or not holds_anywhere(below.abs() < EPSILON):
        return None
    return func(args[0], torch.where(below.abs() < EPSILON, torch.where(below < 0, -EPSILON, EPSILON), below), **kwargs)


def _reverse_quotient(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    below = args[0]
    if not is_float(below) or not holds_anywhere(below.abs() < EPSILON):
        return None
    return func(torch.where(below.abs() < EPSILON, EPSILON, below), *args[1:], **kwargs)


def _norm(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value):
        return None
    # A norm has no slope at zero: away from it by less than counts.
    return func(torch.where(value == 0, EPSILON, value), *args[1:], **kwargs) if holds_anywhere(value == 0) else None


def _power(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value, exponent = args[0], args[1]
    whole = isinstance(exponent, int) or (isinstance(exponent, float) and exponent.is_integer() and exponent >= 1)
    if whole and not (isinstance(exponent, int) and exponent < 1):
        return None
    if not is_float(value) or not holds_anywhere(value < EPSILON):
        return None
    return func(value.clamp(min=EPSILON), *args[1:], **kwargs)


def _spread(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value):
        return None
    variance = value.var(*args[1:], **kwargs)
    return (variance + EPSILON).sqrt() if holds_anywhere(variance < EPSILON) else None


def _distance(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    one = args[0]
    other = args[1] if len(args) > 1 and isinstance(args[1], Tensor) else one
    if not is_float(one) or one.ndim < 2:
        return None
    return ((one.unsqueeze(-2) - other.unsqueeze(-3)).square().sum(-1) + EPSILON).sqrt()


_MENDS: dict[str, Mend] = {
    **dict.fromkeys(("log", "log_", "log2", "log10", "sqrt", "sqrt_", "rsqrt"), _at_least(EPSILON)),
    **dict.fromkeys(("acos", "asin", "arccos", "arcsin", "acos_", "asin_", "atanh", "arctanh"), _within(1 - 1e-6)),
    "log1p": _at_least(EPSILON - 1),
    **dict.fromkeys(("exp", "exp_", "expm1"), _within(80.0)),
    **dict.fromkeys(("div", "div_", "true_divide", "divide", "__truediv__", "__itruediv__"), _quotient),
    **dict.fromkeys(("reciprocal", "__rtruediv__", "__rdiv__"), _reverse_quotient),
    **dict.fromkeys(("norm", "vector_norm"), _norm),
    **dict.fromkeys(("pow", "__pow__", "pow_"), _power),
    "std": _spread,
    "cdist": _distance,
}
"""By a function's name, what becomes of its arguments."""
