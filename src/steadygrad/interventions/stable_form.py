"""Logarithms whose argument was made by an exponential: both together have a form that does not underflow."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from .functions import is_float

Form = Callable[[Tensor], Tensor]


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
        self._bounded: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._logs: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._sigmoids: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._exponentials: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def seen(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, *, bounded: bool = False
    ) -> Any:
        """A function was called; `bounded` says that its argument was too large. Returns its result."""
        note = _NOTES.get(getattr(func, "__name__", ""))
        if note is not None and args and is_float(args[0]) and is_float(result):
            note(self, args, kwargs, result)
            if bounded or args[0] in self._bounded:
                self._bounded[result] = True
        return result

    def needs(self, value: Tensor) -> bool:
        """Whether a tensor is finite only because what it was made of was bounded: its logarithm can do without."""
        return value in self._bounded

    def log_of(self, value: Any) -> Tensor | None:
        """The logarithm of a tensor in its stable form; None where it has none, or was written into since."""
        form = self._of(self._logs, value)
        return None if form is None else form[0](form[1])

    @staticmethod
    def _of(known: WeakTensorKeyDictionary, value: Tensor) -> Any:
        """What is remembered of a tensor: nobody has written since into it, nor into what it was made of."""
        kept: Any = known.get(value)
        if kept is None:
            return None
        version, form, source, source_version = kept
        return (form, source) if version == value._version and source_version == source._version else None

    def _keep(self, known: WeakTensorKeyDictionary, result: Tensor, source: Tensor, form: Form | None = None) -> None:
        known[result] = result._version, form, source, source._version

    def _softmax(self, args: Any, kwargs: dict[str, Any], result: Tensor) -> None:
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        if isinstance(dim, int):
            self._keep(self._logs, result, args[0], lambda x: functional.log_softmax(x, dim, dtype=result.dtype))

    def _sigmoid(self, args: Any, kwargs: dict[str, Any], result: Tensor) -> None:
        self._keep(self._logs, result, args[0], functional.logsigmoid)
        self._keep(self._sigmoids, result, args[0])

    def _one_minus(self, args: Any, kwargs: dict[str, Any], result: Tensor) -> None:
        found = self._of(self._sigmoids, args[0])
        if found is not None and args[1:] == (1,) and not kwargs:
            self._keep(self._logs, result, found[1], lambda x: functional.logsigmoid(-x))

    def _exp(self, args: Any, kwargs: dict[str, Any], result: Tensor) -> None:
        self._keep(self._logs, result, args[0], lambda x: x)
        self._keep(self._exponentials, result, args[0])

    def _sum(self, args: Any, kwargs: dict[str, Any], result: Tensor) -> None:
        found = self._of(self._exponentials, args[0])
        dim = args[1] if len(args) > 1 else kwargs.get("dim", tuple(range(args[0].ndim)))
        if found is not None and not kwargs.keys() - {"dim", "keepdim"}:
            keep = bool(args[2] if len(args) > 2 else kwargs.get("keepdim", False))
            self._keep(self._logs, result, found[1], lambda x: torch.logsumexp(x, dim, keep))


_NOTES: dict[str, Callable[[StableForms, Any, dict[str, Any], Tensor], None]] = {
    "softmax": StableForms._softmax,
    "sigmoid": StableForms._sigmoid,
    "rsub": StableForms._one_minus,
    "__rsub__": StableForms._one_minus,
    "exp": StableForms._exp,
    "sum": StableForms._sum,
}
"""By a function's name, what is to be remembered of it."""
