"""Logarithms whose argument was made by an exponential: both together have a form that does not underflow."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from .functions import is_float

Form = Callable[[], Tensor]


class StableForms:
    r"""Remembers how tensors were made, and knows the logarithm of what was made by an exponential.

    .. math:: \log \operatorname{softmax}(x), \quad \log \sigma(x), \quad \log(1 - \sigma(x)), \quad \log \sum e^x

    Example:
        >>> forms, x = StableForms(), torch.tensor([0.0, 200.0])
        >>> p = forms.seen(torch.softmax, (x, 0), {}, torch.softmax(x, 0))
        >>> p.log().tolist(), forms.log_of(p).tolist()
        ([-inf, 0.0], [-200.0, 0.0])

    References:
        Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.
    """

    def __init__(self) -> None:
        self._logs: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._sources: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def seen(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        """A function was called; returns its result."""
        note = _NOTES.get(getattr(func, "__name__", ""))
        if note is not None and args and is_float(args[0]) and is_float(result):
            note(self, args, kwargs, result)
        return result

    def log_of(self, value: Tensor) -> Tensor | None:
        """The logarithm of a tensor in its stable form; None where it has none, or was written into since."""
        version, form = self._logs.get(value, (-1, None))
        return form() if form is not None and version == value._version else None

    def _keep(self, result: Tensor, form: Form) -> None:
        self._logs[result] = result._version, form

    def _softmax(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        if isinstance(dim, int):
            self._keep(result, lambda: functional.log_softmax(args[0], dim, dtype=result.dtype))

    def _sigmoid(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        self._keep(result, lambda: functional.logsigmoid(args[0]))
        self._sources[result] = result._version, args[0]

    def _one_minus(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        version, source = self._sources.get(args[0], (-1, None))
        if source is not None and version == args[0]._version and args[1:] == (1,) and not kwargs:
            self._keep(result, lambda: functional.logsigmoid(-source))

    def _exp(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        self._keep(result, lambda: args[0])
        self._sources[result] = result._version, args[0]

    def _sum(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        logs = self._logs.get(args[0])
        version, source = self._sources.get(args[0], (-1, None))
        of_exp = logs is not None and source is not None and logs[1]() is source
        dim = args[1] if len(args) > 1 else kwargs.get("dim", tuple(range(args[0].ndim)))
        if of_exp and version == args[0]._version and not kwargs.keys() - {"dim", "keepdim"}:
            keep = bool(args[2] if len(args) > 2 else kwargs.get("keepdim", False))
            self._keep(result, lambda: torch.logsumexp(source, dim, keep))


_NOTES: dict[str, Callable[[StableForms, tuple[Any, ...], dict[str, Any], Tensor], None]] = {
    "softmax": StableForms._softmax,
    "sigmoid": StableForms._sigmoid,
    "rsub": StableForms._one_minus,
    "__rsub__": StableForms._one_minus,
    "exp": StableForms._exp,
    "sum": StableForms._sum,
}
"""By a function's name, what is to be remembered of it."""
