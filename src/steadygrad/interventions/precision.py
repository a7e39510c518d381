"""Float32 in place of reduced precision."""

from typing import Any

import torch
from torch import Tensor

from .functions import Functions
from .replaced import Replaced

HALVES = (torch.float16, torch.bfloat16)


class Float32(Functions):
    """No reduced precision: no autocast, no half tensors."""

    remedy = "float32-for-this-layer"

    def begin(self) -> None:
        """Autocast is off, whoever turns it on."""
        super().begin()
        original, owner = torch.autocast.__init__, self

        def __init__(context: Any, *args: Any, **kwargs: Any) -> None:
            original(context, *args, **kwargs)
            owner.times += context._enabled
            context._enabled = False

        self._autocast = Replaced(torch.autocast, "__init__", __init__)

    def end(self) -> None:
        """As it was."""
        self._autocast.undo()
        super().end()

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A half dtype that is asked for is float32; half tensors that meet float32 are made float32."""
        name = getattr(func, "__name__", "")
        if name in ("half", "bfloat16") and args and isinstance(args[0], Tensor):
            self.times += 1
            return args[0].float()
        if any(each in HALVES for each in args if isinstance(each, torch.dtype)) or kwargs.get("dtype") in HALVES:
            self.times += 1
            args = tuple(torch.float32 if isinstance(each, torch.dtype) and each in HALVES else each for each in args)
            if kwargs.get("dtype") in HALVES:
                kwargs["dtype"] = torch.float32
        if not name.endswith("_") and _are_mixed((*args, *kwargs.values())):
            args = tuple(map(_widened, args))
            kwargs = {key: _widened(value) for key, value in kwargs.items()}
        return func(*args, **kwargs)


def _are_mixed(values: tuple[Any, ...]) -> bool:
    kinds = {each.dtype for each in values if isinstance(each, Tensor)}
    return torch.float32 in kinds and bool(kinds & set(HALVES))


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALVES else value
