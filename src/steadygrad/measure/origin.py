"""Where a number that is not finite comes from: the first operation that makes one of finite ones."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from .._readback import any_nan, any_nonfinite, any_positive_infinity, read_tensor_scalar
from ..evidence import Origin
from .focus import MASKED
from .forward_trace import UNSEEN, tensors_of
from .overrides import MASKING, OpeningMode


@dataclass(slots=True)
class _Made:
    op: str
    where: str
    shape: tuple[int, ...]
    parents: tuple[int, ...]
    largest_input: Tensor | None
    grad_is_finite: bool | None = None


class OriginTrace(OpeningMode):
    """Looks at every operation of one forward and backward pass. Slow: for a pass that is known to go wrong.

    Args:
        model: gives the modules' names.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> with OriginTrace(model) as trace:
        ...     (model(torch.zeros(1, 2)) - model.bias).sqrt().sum().backward()
        >>> trace.origin().op, trace.origin().phase
        ('sqrt', 'backward')
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._modules: list[str] = []
        self._made: list[_Made] = []
        self._places: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._first: Origin | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> "OriginTrace":
        for name, module in self._model.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._enterer(name)))
            self._handles.append(module.register_forward_hook(self._leave, always_call=True))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def origin(self) -> Origin | None:
        """What was found; None where everything was finite."""
        if self._first is not None:
            return self._first
        for made in reversed(self._made):
            if made.grad_is_finite and any(self._made[place].grad_is_finite is False for place in made.parents):
                largest = 0.0 if made.largest_input is None else read_tensor_scalar(made.largest_input) or 0.0
                return Origin(made.op, made.where, "backward", made.shape, largest)
        return None

    def look(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function of torch and see whether it makes the first number that is not finite."""
        name = getattr(func, "__name__", "")
        given = [tensor for tensor in tensors_of((args, kwargs)) if tensor.is_floating_point()]
        # Before the call: an operation in place has no input afterwards.
        # -inf may be a mask: that a softmax sees nothing else is no fault of the mask.
        sound = name not in UNSEEN and not any_nan(given) and not any_positive_infinity(given)
        largest = _largest(given) if sound else None
        for tensor in given:
            if tensor.requires_grad and tensor.is_leaf and tensor not in self._places:
                self._follow("", tensor, (), None)
        parents = tuple(self._places[tensor] for tensor in given if tensor in self._places)
        output = func(*args, **kwargs)
        if name not in UNSEEN:
            made = [tensor for tensor in tensors_of(output) if tensor.is_floating_point()]
            self._keep(name, given, parents, largest, sound, made)
        return output

    def _keep(
        self,
        name: str,
        given: list[Tensor],
        parents: tuple[int, ...],
        largest: Tensor | None,
        sound: bool,
        outputs: list[Tensor],
    ) -> None:
        for tensor in outputs:
            if self._first is None and sound and given:
                masked = name in MASKING or any_nonfinite(given)
                bad = any_nan([tensor]) if masked else any_nonfinite([tensor])
                if bad:
                    size = 0.0 if largest is None else read_tensor_scalar(largest) or 0.0
                    where = self._modules[-1] if self._modules else ""
                    self._first = Origin(name, where, "forward", tuple(tensor.shape), size)
            if tensor.requires_grad:
                self._follow(name, tensor, parents, largest)

    def _follow(self, name: str, tensor: Tensor, parents: tuple[int, ...], largest: Tensor | None) -> None:
        made = _Made(name, self._modules[-1] if self._modules else "", tuple(tensor.shape), parents, largest)
        self._places[tensor] = len(self._made)
        self._made.append(made)
        self._handles.append(tensor.register_hook(_keep_grad(made)))

    def _enterer(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            self._modules.append(name)

        return enter

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._modules:
            self._modules.pop()


def _largest(tensors: list[Tensor]) -> Tensor | None:
    """The largest absolute value; what is far below zero is a mask."""
    seen = [tensor.detach() for tensor in tensors if tensor.numel()]
    sizes = [torch.where(tensor > MASKED, tensor.abs(), 0.0).max().float() for tensor in seen]
    return torch.stack(sizes).max() if sizes else None


def _keep_grad(made: _Made) -> Any:
    def keep(grad: Tensor | None) -> None:
        if grad is not None:
            made.grad_is_finite = not any_nonfinite([grad])

    return keep
