"""ReLUs that let a little gradient through."""

from typing import Any, ClassVar

from torch import nn

from .functions import Functions, is_float


class LeakyRelu(Functions):
    """Every ReLU lets a hundredth of the gradient through where it is off.

    Reference: Maas et al., "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    remedy = "leaky-relu"
    SLOPE: ClassVar[float] = 0.01

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As a function, a method or a module; a module calls the function."""
        name = getattr(func, "__name__", "")
        if len(args) < 1 or not is_float(args[0]):
            return func(*args, **kwargs)
        if name in ("relu", "relu_"):
            inplace = name == "relu_" or bool(args[1] if len(args) > 1 else kwargs.get("inplace"))
            self.times += 1
            return nn.functional.leaky_relu(args[0], self.SLOPE, inplace)
        if name in ("clamp", "clamp_min") and args[0].requires_grad:
            least = args[1] if len(args) > 1 else kwargs.get("min")
            only = len(args) <= 2 and kwargs.get("max") is None
            if least == 0 and only:
                self.times += 1
                return nn.functional.leaky_relu(args[0], self.SLOPE)
        return func(*args, **kwargs)
