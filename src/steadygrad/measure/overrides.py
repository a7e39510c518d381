"""What modes that look at torch's functions share."""

from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode

SOFTMAXES = frozenset({torch.softmax, Tensor.softmax, F.softmax, torch.special.softmax})
"""Every way to call a softmax."""


MASKING = frozenset(
    {"masked_fill", "masked_fill_", "where", "fill_", "full", "full_like", "__setitem__", "triu", "tril", "tensor"}
    | {"new_full", "scatter", "scatter_", "index_fill", "index_fill_", "masked_scatter", "clamp", "add", "__add__"}
)
"""Functions whose infinities are meant: an attention's mask, a running maximum's start."""


def without_overrides(func: FunctionType) -> FunctionType:
    """A function of torch that does not offer itself to modes again.

    torch takes a mode off while the mode handles a function, and a function that is called with the mode on is handed
    to it at once: of what `multi_head_attention_forward` calls inside, neither way shows anything. Its own code, with
    the question whether anyone overrides it answered by no, can run with the mode on.
    """
    inside = {**func.__globals__, "has_torch_function": _nobody}
    opened = FunctionType(func.__code__, inside, func.__name__, func.__defaults__, func.__closure__)
    opened.__kwdefaults__ = func.__kwdefaults__
    return opened


def _nobody(tensors: Any) -> bool:
    return False


class OpeningMode(TorchFunctionMode):
    """A mode that sees what torch's attention calls inside too; `look` gets each function before it is called."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = False

    def look(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call the function, and return what it returns."""
        raise NotImplementedError

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward and not self._opened:
            self._opened = True
            try:
                with self:
                    return without_overrides(func)(*args, **kwargs)
            finally:
                self._opened = False
        return self.look(func, args, kwargs)


def leave_mode(left: TorchFunctionMode) -> None:
    """Take a mode off, also from under others that the user's code has left behind; nothing if it is not on."""
    if left not in _get_current_function_mode_stack():
        return
    above = []
    while (mode := _pop_mode()) is not left:
        above.append(mode)
    for mode in reversed(above):
        _push_mode(mode)
