"""Seeing every function of torch that a script calls."""

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from .._readback import read_tensor_scalar
from .intervention import Intervention


class Functions(Intervention):
    """Sees every function of torch that the script calls."""

    def begin(self) -> None:
        """From here on."""
        self._mode = _Mode(self)
        self._mode.__enter__()

    def end(self) -> None:
        """No more."""
        self._mode.__exit__(None, None, None)

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A function is called; returns its result."""
        raise NotImplementedError


class _Mode(TorchFunctionMode):
    def __init__(self, owner: Functions) -> None:
        self._owner = owner

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        try:
            return self._owner.called(func, tuple(args), dict(given))
        except Exception:
            return func(*args, **given)  # as the script has called it: an error of its own is raised here again


def is_float(value: Any) -> bool:
    """Whether something is a floating tensor."""
    return isinstance(value, Tensor) and value.is_floating_point()


def holds_anywhere(flags: Tensor) -> bool:
    """Whether any of these flags is set."""
    return bool(read_tensor_scalar(flags.any()))
