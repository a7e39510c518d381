"""Seeing every function of torch that a script calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _len_torch_function_stack, _pop_mode, _push_mode

from .._readback import read_tensor_scalar
from .._tap import has_compiled
from .intervention import Intervention

COMPOSED = frozenset({"multi_head_attention_forward", "lp_pool1d", "lp_pool2d", "lp_pool3d", "normalize"})
"""Functions of `torch.nn.functional`, written in Python, that are looked into: what matters is inside."""

_AUGMENTED = frozenset(
    f"__i{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "div",
        "floordiv",
        "mod",
        "pow",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    )
)

_HANDS_OVER = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


class Functions(Intervention):
    """Sees every function of torch that the script calls."""

    def begin(self) -> None:
        """From here on."""
        self._mode = _Mode(self)
        enter(self._mode)

    def end(self) -> None:
        """No more."""
        leave(self._mode)

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A function is called; returns its result."""
        raise NotImplementedError


class LeavableMode(TorchFunctionMode):
    """A mode that can be left at any time, by `leave`: within a function that it is looking at it lies on no stack.

    What is being compiled it does not look at. An error of its own is none of the script's.
    """

    left = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if self.left or torch.compiler.is_compiling():
            return func(*args, **given)
        return self.look(func, types, tuple(args), given)

    def look(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A function is called; returns its result."""
        try:
            args, kwargs = self.given(func, args, kwargs)
        except Exception:
            pass  # as the script has called it
        output = func(*args, **kwargs)
        try:
            self.made(func, args, kwargs, output)
        except Exception:
            pass
        return output

    def given(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What a function is to be given."""
        return args, kwargs

    def made(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """What it has made of it."""


class _Mode(LeavableMode):
    def __init__(self, owner: Functions) -> None:
        self._owner = owner

    def look(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            if getattr(func, "__name__", "") in COMPOSED and all(map(_is_plain, types)):
                with _as_a_script(), self:
                    return func(*args, **kwargs)
            return self._owner.called(func, args, dict(kwargs))
        except Exception:
            return func(*args, **kwargs)  # as the script has called it: an error of its own is raised here again


@contextmanager
def _as_a_script() -> Iterator[None]:
    """Functions of `torch.nn.functional` do not hand themselves over, and so show what they are made of."""
    kept = {name: getattr(nn.functional, name) for name in _HANDS_OVER}
    try:
        for name in kept:
            setattr(nn.functional, name, _never)
        yield
    finally:
        for name, value in kept.items():
            setattr(nn.functional, name, value)


def _is_plain(kind: Any) -> bool:
    """Whether a tensor's type has no say in what functions do with it: a parameter has none."""
    return kind.__torch_function__ in (Tensor.__torch_function__, nn.Parameter.__torch_function__)


def _never(*args: Any) -> bool:
    return False


def enter(mode: LeavableMode) -> None:
    """Put a mode on the stack. Not where anything is compiled: that is guarded against modes, and would be again."""
    if not has_compiled():
        mode.__enter__()


def leave(mode: LeavableMode) -> None:
    """Take a mode off the stack, wherever in it the mode lies by now; it sees no more even where it cannot be."""
    mode.left = True
    above = []
    while _len_torch_function_stack():
        top = _pop_mode()
        if top is mode:
            break
        above.append(top)
    for each in reversed(above):
        _push_mode(each)


def in_place(func: Any) -> bool:
    """Whether a function writes into its first argument."""
    name = getattr(func, "__name__", "")
    if name.startswith("__"):
        return name == "__setitem__" or name in _AUGMENTED
    return name.endswith("_")


def reaches_in(func: Any) -> bool:
    """Whether a function only reads or writes an attribute of a tensor (`.data`, `.grad`), and computes nothing."""
    return getattr(func, "__name__", "") in ("__get__", "__set__")


def is_float(value: Any) -> bool:
    """Whether something is a floating tensor."""
    return isinstance(value, Tensor) and value.is_floating_point()


def holds_anywhere(flags: Tensor) -> bool:
    """Whether any of these flags is set."""
    return bool(read_tensor_scalar(flags.any()))
