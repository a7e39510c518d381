"""Operations whose value or derivative is not finite at the edge of their domain, kept away from it.

A logarithm of what an exponential has made is computed in one, which changes nothing but the rounding.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .functions import Functions, holds_anywhere, in_place, is_float
from .stable_form import StableForms

EPSILON = 1e-8
"""How far arguments are kept away from where an operation fails."""

LARGEST = 80.0
"""Largest argument of an exponential."""


class AddEpsilon(Functions):
    """Arguments of logarithms, roots, quotients, powers and inverse functions are kept inside their domain.

    Those of data are the script's own affair, unless they are compared: the same function of a prediction in the same
    shape was mended, and what is finite on one side only makes no finite loss. In an evaluation functions are as they
    were mended in training. NaN made of numbers is nobody's affair: 0 / 0, the spread of one sample.
    """

    remedy = "add-epsilon-inside-the-operation"

    def begin(self) -> None:
        """From here on; what was made before is not known."""
        self._forms = StableForms()
        self._mended: set[tuple[str, torch.Size]] = set()
        self._names: set[str] = set()
        super().begin()

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Mend the argument on which the operation depends."""
        name = getattr(func, "__name__", "")
        mend = _MENDS.get(name)
        trained = any(isinstance(each, Tensor) and each.requires_grad for each in args)
        shape = _of_a_sample(args[0]) if args and is_float(args[0]) else None
        compared = (name, shape) in self._mended
        evaluated = not torch.is_grad_enabled() and bool(self._mended)
        if not (trained or compared or (evaluated and name in self._names)):
            result = func(*args, **kwargs)
            if mend is None or in_place(func) or not _is_made_of_numbers(result, args):
                return self._seen(func, args, kwargs, result) if evaluated else result
        changed = None if mend is None else mend(func, args, kwargs)
        if name == "log" and (changed is not None or self._forms.needs(args[0])):
            changed = _finite_of(self._forms.log_of(args[0]), changed)
        if trained and changed is not None and shape is not None:
            self._mended.add((name, shape))
            self._names.add(name)
        self.times += changed is not None
        result = func(*args, **kwargs) if changed is None else changed
        return self._seen(func, args, kwargs, result, bounded=changed is not None)

    def _seen(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, **how: bool) -> Any:
        """How it was made is remembered, but of what knows nothing of changes."""
        unknown = torch.is_inference_mode_enabled()
        return result if unknown else self._forms.seen(func, args, kwargs, result, **how)


def _is_made_of_numbers(result: Any, args: tuple[Any, ...]) -> bool:
    """Whether NaN has come out where none went in."""
    if not is_float(result) or not holds_anywhere(result.isnan()):
        return False
    return not any(is_float(each) and holds_anywhere(each.isnan()) for each in args)


def _of_a_sample(value: Tensor) -> torch.Size | None:
    """The shape by which what is compared is known: without the batch, but a vector has no other; a number has none."""
    return value.shape[1:] if value.ndim > 1 else value.shape or None


def _finite_of(stable: Tensor | None, clamped: Tensor | None) -> Tensor | None:
    """The stable form, but where that is infinite too, as of a share that is masked."""
    if stable is None or clamped is None:
        return clamped if stable is None else stable
    return torch.where(stable == -math.inf, clamped, stable)


Mend = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]


def _epsilon(value: Tensor) -> float:
    """The same for half precision, whose smallest normal number is larger."""
    return max(EPSILON, torch.finfo(value.dtype).tiny)


def _clamped(func: Any, value: Tensor, least: float, most: float | None = None) -> Tensor:
    """What is written into is clamped where it lies."""
    return value.clamp_(least, most) if in_place(func) else value.clamp(least, most)


def _off_zero(value: Tensor) -> Tensor | None:
    """Away from zero, to the side on which it is; None if it is already."""
    least = _epsilon(value)
    if not holds_anywhere(value.abs() < least):
        return None
    return torch.where(value.abs() < least, torch.where(value < 0, -least, least), value)


def _above_zero(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value) or not holds_anywhere(value < _epsilon(value)):
        return None
    return func(_clamped(func, value, _epsilon(value)), *args[1:], **kwargs)


def _above_minus_one(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value):
        return None
    least = torch.finfo(value.dtype).eps - 1.0  # nearer to -1 there is no number
    if not holds_anywhere(value < least):
        return None
    return func(_clamped(func, value, least), *args[1:], **kwargs)


def _inside_one(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value):
        return None
    most = 1.0 - max(1e-6, torch.finfo(value.dtype).eps)
    if not holds_anywhere(value.abs() > most):
        return None
    return func(_clamped(func, value, -most, most), *args[1:], **kwargs)


def _bounded(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value):
        return None
    most = min(LARGEST, math.log(torch.finfo(value.dtype).max) - 1.0)
    if not holds_anywhere(value > most):
        return None
    return func(value.clamp_(max=most) if in_place(func) else value.clamp(max=most), *args[1:], **kwargs)


def _quotient(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if len(args) < 2 or not is_float(args[1]):
        return None
    below = _off_zero(args[1])
    return None if below is None else func(args[0], below, *args[2:], **kwargs)


def _reverse_quotient(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    below = _off_zero(args[0]) if is_float(args[0]) else None
    return None if below is None else func(below, *args[1:], **kwargs)


def _norm(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value):
        return None
    # A norm has no slope at zero: away from it by less than counts.
    return func(torch.where(value == 0, EPSILON, value), *args[1:], **kwargs) if holds_anywhere(value == 0) else None


def _power(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if len(args) < 2 or not is_float(args[0]):
        return None
    value, exponent = args[0], args[1]
    if isinstance(exponent, (int, float)) and float(exponent).is_integer():
        if exponent >= 0:
            return None
        off = None if in_place(func) else _off_zero(value)  # of a negative number there are whole powers
        return None if off is None else func(off, *args[1:], **kwargs)
    if not holds_anywhere(value < _epsilon(value)):
        return None
    return func(_clamped(func, value, _epsilon(value)), *args[1:], **kwargs)


def _spread(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value):
        return None
    variance = value.var(*args[1:], **kwargs)
    if holds_anywhere(variance.isnan()) and not holds_anywhere(value.isnan()):  # of one sample: it has no slope either
        return torch.full_like(variance.detach(), math.sqrt(EPSILON))
    return (variance + EPSILON).sqrt() if holds_anywhere(variance < EPSILON) else None


def _variance(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    value = args[0]
    if not is_float(value) or holds_anywhere(value.isnan()):
        return None
    variance = func(*args, **kwargs).detach()
    return torch.zeros_like(variance) if holds_anywhere(variance.isnan()) else None


def _distance(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if len(args) < 2 or not is_float(args[0]) or (args[2] if len(args) > 2 else kwargs.get("p", 2.0)) != 2.0:
        return None
    square = (args[0].unsqueeze(-2) - args[1].unsqueeze(-3)).square().sum(-1)
    return (square + EPSILON).sqrt() if holds_anywhere(square < EPSILON) else None


def _somewhere(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What may look nowhere, because all is masked, looks everywhere alike: as behind a mask that is not infinite."""
    value, dim = args[0], args[1] if len(args) > 1 else kwargs.get("dim")
    if not is_float(value) or not isinstance(dim, int) or not value.numel():
        return None
    nowhere = value.detach().amax(dim, keepdim=True) == -math.inf
    if not holds_anywhere(nowhere):
        return None
    return func(value.masked_fill(nowhere, 0.0), *args[1:], **kwargs)


_MENDS: dict[str, Mend] = {
    **dict.fromkeys(("softmax", "log_softmax"), _somewhere),
    **dict.fromkeys(("log", "log_", "log2", "log10", "sqrt", "sqrt_", "rsqrt", "rsqrt_"), _above_zero),
    **dict.fromkeys(("acos", "asin", "arccos", "arcsin", "acos_", "asin_", "atanh", "arctanh"), _inside_one),
    **dict.fromkeys(("log1p", "log1p_"), _above_minus_one),
    **dict.fromkeys(("exp", "exp_", "expm1"), _bounded),
    **dict.fromkeys(("div", "div_", "true_divide", "divide", "__truediv__", "__itruediv__"), _quotient),
    **dict.fromkeys(("reciprocal", "__rtruediv__", "__rdiv__"), _reverse_quotient),
    "norm": _norm,
    **dict.fromkeys(("pow", "__pow__", "pow_"), _power),
    "std": _spread,
    "var": _variance,
    "cdist": _distance,
}
"""By a function's name, what becomes of its arguments."""
