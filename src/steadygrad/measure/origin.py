"""Where a number that is not finite comes from: the first operation that makes one of finite ones."""

import itertools
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from .._readback import all_true, any_nan, any_nonfinite, any_positive_infinity, read_tensor_scalar
from ..evidence import Origin
from .forward_trace import UNSEEN, tensors_of
from .overrides import MASKING, OpeningMode
from .powers import powers_in_a_row
from .source_line import source_line

MASK = -1e30
"""What is below is a mask: -inf, or the lowest number of a type."""

LEAF = "torch::autograd::AccumulateGrad"
"""The node of the graph where a gradient is added to a weight's."""

SAMPLES = 8
"""Samples that are named."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a function ran: in which module ("" outside of all), on which line."""

    where: str
    line: tuple[str, int] | None
    largest_input: Tensor | None


@dataclass(slots=True)
class _Suspect:
    """An operation that has made what is not finite of finite numbers.

    `weighed` says that what came of it has met weights later, or the inside of a module: then it is no part of the
    loss. `given` says that the script handed the number over; `powers` see `powers_in_a_row`.
    """

    op: str
    place: _Place
    bad: Tensor
    given: bool = False
    weighed: bool = False
    powers: tuple[int, float] = (0, 0.0)

    @property
    def phase(self) -> str:
        return "data" if self.given else "forward" if self.weighed else "loss"


class OriginTrace(OpeningMode):
    """Looks at every operation of one forward and backward pass. Slow: for a pass that is known to go wrong.

    Forward, each function of torch is looked at; which of the operations inside it was the first, calling it again
    shows. Backward, each node of the graph.

    An infinity need not be a fault: a mask is one, and 1 / (1 + exp(-x)) or a `where` takes it back. So what is not
    finite is followed from result to result. The origin is the first operation whose bad numbers have come through to
    the loss or, where the loss is finite, to the gradient of a weight. A softmax that makes NaN of a row that is masked
    altogether, and zeros of all the other infinities, is the origin itself; the mask is not.

    What belongs to the loss is told by the weights: outside of modules, and nothing that came of it has met any.

    Args:
        model: gives the modules' names and the weights.
        line: tells the line of the user's code where the stack does not show it.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> with OriginTrace(model) as trace:
        ...     loss = (model(torch.zeros(1, 2)) - model.bias).sqrt().sum()
        ...     trace.follow(loss)
        ...     loss.backward()
        >>> trace.origin().op, trace.origin().phase
        ('sqrt', 'backward')
    """

    def __init__(self, model: nn.Module, line: Callable[[], tuple[str, int] | None] = lambda: None) -> None:
        super().__init__()
        self._model = model
        self._line = line
        self._modules: list[str] = []
        self._weights: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        for param in model.parameters():
            self._weights[param] = True
        self._suspects: list[_Suspect] = []
        self._lineage: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._places: dict[Node, _Place] = {}
        self._into: dict[Node, set[int]] = {}
        self._backward: list[Origin] = []
        self._first: Origin | None = None
        self._reached: int | None = None
        self._powers = (0, 0.0)
        self._handles: list[Any] = []
        self._sizes: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def __enter__(self) -> "OriginTrace":
        for name, module in self._model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            self._handles.append(module.register_forward_pre_hook(self._enterer(name or type(module).__name__)))
            self._handles.append(module.register_forward_hook(self._leave, always_call=True))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._places.clear()
        self._into.clear()

    def origin(self) -> Origin | None:
        """What was found; None where everything was finite."""
        found = self._first if self._reached is None else self._backward[self._reached]
        if found is None or found.phase == "backward":
            return found
        grown = [self._powers, *map(_growth, self._sizes.values())]
        repeats, growth = max(grown, key=lambda each: each[1])
        return replace(found, repeats=repeats, growth=growth, powers=0 < self._powers[1] == growth)

    def follow(self, loss: Tensor) -> None:
        """Say what the loss comes from if it is not finite; else look at every node of its graph backward."""
        if any_nonfinite([loss]):
            # Without a lineage: something that torch does not show stood between, and the first one is the best guess.
            found = min(self._lineage.get(loss) or (), default=0 if self._suspects else None)
            if found is not None:
                suspect = self._suspects[found]
                self._first = _origin(suspect.op, suspect.place, suspect.phase, suspect.bad)
                self._powers = suspect.powers
            return
        start = loss.grad_fn
        if start is None:
            return
        waiting: list[tuple[Node, _Place]] = [(start, _Place("", None, None))]
        seen: set[Node] = set()
        while waiting:
            node, above = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            # A function of several operations is known by its last one: those before it belong there too.
            place = self._places.get(node, above)
            if node.name() != LEAF:
                self._handles.append(node.register_hook(self._looker(node, place)))
            waiting += [(before, place) for before, _ in node.next_functions if before is not None]

    def look(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function of torch, see whether it makes what is not finite, and where that goes."""
        name = getattr(func, "__name__", "")
        given = [tensor for tensor in tensors_of((args, kwargs)) if tensor.is_floating_point()]
        # All of it before the call: an operation in place has no input afterwards.
        wrong = [(tensor, ~torch.isfinite(tensor.detach())) for tensor in given if any_nonfinite([tensor])]
        lineage = frozenset(one for tensor, _ in wrong for one in self._lineage.get(tensor) or ())
        if name in UNSEEN:
            output = func(*args, **kwargs)
            if lineage and isinstance(output, Tensor):
                self._lineage[output] = lineage
            return output
        # -inf may be a mask: that a softmax sees nothing else is no fault of the mask.
        sound = not any_nan(given) and not any_positive_infinity(given)
        largest = _largest(given) if sound else None
        output = func(*args, **kwargs)
        place = _Place(self._modules[-1] if self._modules else "", source_line() or self._line(), largest)
        made = [args[0]] if name == "__setitem__" else list(tensors_of(output))
        self._meet(wrong, given, made)
        self._keep_size(given, made)
        for tensor in made:
            if not tensor.is_floating_point():
                continue
            if any_nonfinite([tensor]):
                own = given and sound and (any_nan([tensor]) if name in MASKING or wrong else True)
                if own and not (lineage and _is_passed_on(wrong, tensor)):
                    self._lineage[tensor] = self._suspect(func, name, args, kwargs, place, tensor)
                else:
                    self._lineage[tensor] = lineage
            if tensor.grad_fn is not None:
                self._places.setdefault(tensor.grad_fn, place)
        return output

    def _meet(self, wrong: Sequence[tuple[Tensor, Tensor]], given: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        """Note what is a weight still, and which bad numbers have met weights. A single number is a loss already."""
        weights = [tensor in self._weights for tensor in given]
        if given and all(weights):
            for tensor in made:
                self._weights[tensor] = True
        elif any(weights) or self._modules:
            for tensor, _ in wrong:
                for one in (self._lineage.get(tensor) or ()) if tensor.ndim else ():
                    self._suspects[one].weighed = True

    def _keep_size(self, given: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        """Of what weights have multiplied, again and again, how large it was."""
        weights = [tensor for tensor in given if tensor in self._weights]
        if made and 0 < len(weights) < len(given) and made[0].is_floating_point():
            size = made[0].detach().abs().amax() if made[0].numel() else None
            weight = max(weights, key=lambda each: each.ndim)
            self._sizes[weight] = [*(self._sizes.get(weight) or ()), size]

    def _suspect(
        self, func: Any, name: str, args: Any, kwargs: dict[str, Any], place: _Place, bad: Tensor
    ) -> frozenset[int]:
        op, largest = _inside(func, args, kwargs)
        place = place if largest is None else replace(place, largest_input=largest)
        given = [tensor for tensor in tensors_of((args, kwargs)) if tensor.is_floating_point()]
        weighed = bool(self._modules) or (bad.ndim > 0 and any(tensor in self._weights for tensor in given))
        powers = powers_in_a_row(name, args)
        found = _Suspect(op or name.strip("_"), place, bad, _is_given(name, args, kwargs), weighed, powers)
        self._suspects.append(found)
        return frozenset((len(self._suspects) - 1,))

    def _looker(self, node: Node, place: _Place) -> Any:
        def look(before: Any, after: Any) -> None:
            bad = [grad is not None and any_nonfinite([grad]) for grad in before]
            if not any(bad):
                return
            lineage = self._into.get(node, set())
            if not any_nonfinite([grad for grad in after if grad is not None]):
                self._backward.append(_origin(operation(node.name()), place, "backward", before[bad.index(True)]))
                lineage = {len(self._backward) - 1}
            for is_bad, (following, _) in zip(bad, node.next_functions, strict=False):
                if not is_bad or following is None:
                    continue
                if following.name() != LEAF:
                    self._into.setdefault(following, set()).update(lineage)
                elif lineage:
                    first = min(lineage)
                    self._reached = first if self._reached is None else min(self._reached, first)

        return look

    def _enterer(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any) -> None:
            self._modules.append(name)

        return enter

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._modules:
            self._modules.pop()


def operation(node: str) -> str:
    """The operation that a node of the graph is the backward of.

    >>> [operation(name) for name in ("SqrtBackward0", "LinalgVectorNormBackward0", "NllLossBackward0")]
    ['sqrt', 'linalg_vector_norm', 'nll_loss']
    """
    words = re.sub(r"Backward\w*$", "", node.rpartition("::")[2])
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()


class _Inside(TorchDispatchMode):
    """Which operation inside a function of torch is the first to make what is not finite."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""
        self.largest: Tensor | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [tensor for tensor in tensors_of((args, kwargs or {})) if tensor.is_floating_point()]
        sound = not self.found and not any_nan(given) and not any_positive_infinity(given)
        largest = _largest(given) if sound else None
        output = func(*args, **(kwargs or {}))
        made = [tensor for tensor in tensors_of(output) if tensor.is_floating_point()]
        if sound and made and any_nonfinite(made):
            self.found, self.largest = func.overloadpacket.__name__.strip("_"), largest
        return output


def _is_given(name: str, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a plain number that is not finite was handed to a function, and it is no mask."""
    numbers = [each for each in (*args, *kwargs.values()) if isinstance(each, float)]
    return name not in MASKING and not all(map(math.isfinite, numbers))


def _is_passed_on(wrong: Sequence[tuple[Tensor, Tensor]], result: Tensor) -> bool:
    """Whether every place that was bad still is: then nothing was taken back, and the fault lies before."""
    bad = ~torch.isfinite(result.detach())
    return all(all_true(bad | ~places) for _, places in wrong if places.shape == bad.shape)


def _inside(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[str, Tensor | None]:
    """The operation's name and the largest number it was given; "" where the function cannot be called twice."""
    name = getattr(func, "__name__", "")
    if name.endswith("_") or name[:3] == "__i" or name == "__setitem__" or kwargs.get("out") is not None:
        return "", None
    try:
        with torch.no_grad(), _Inside() as inside:
            func(*args, **kwargs)
    except Exception:
        return "", None
    return inside.found, inside.largest


def _origin(op: str, place: _Place, phase: str, bad: Tensor) -> Origin:
    with torch.no_grad():
        wrong = ~torch.isfinite(bad.detach())
        is_nan = any_nan([bad.detach()])
        rows = wrong.reshape(len(bad), -1).any(1).nonzero().flatten() if bad.ndim and len(bad) else wrong.nonzero()
        share = read_tensor_scalar(wrong.double().mean())
        samples = tuple(int(read_tensor_scalar(each) or 0) for each in rows.flatten()[:SAMPLES].unbind())
    largest = 0.0 if place.largest_input is None else read_tensor_scalar(place.largest_input) or 0.0
    line = None if place.line is None else (os.path.abspath(place.line[0]), place.line[1])
    return Origin(op, place.where, phase, tuple(bad.shape), largest, share, "nan" if is_nan else "inf", samples, line)


def _growth(sizes: Sequence[Tensor | None]) -> tuple[int, float]:
    """How often in a row something became larger, at the end of what was finite, and by how many nats."""
    known = [0.0 if each is None else read_tensor_scalar(each) for each in sizes]
    finite = list(itertools.takewhile(lambda each: each is not None and math.isfinite(each), known))
    grown = 0
    while grown + 1 < len(finite) and 0.0 < (finite[-grown - 2] or 0.0) < (finite[-grown - 1] or 0.0):
        grown += 1
    return grown, math.log((finite[-1] or 1.0) / (finite[-grown - 1] or 1.0)) if grown else 0.0


def _largest(tensors: list[Tensor]) -> Tensor | None:
    """The largest absolute value; what is far below zero is a mask."""
    seen = [tensor.detach().double() for tensor in tensors if tensor.numel()]
    sizes = [torch.where(tensor <= MASK, 0.0, tensor.abs()).max() for tensor in seen]
    return torch.stack(sizes).max() if sizes else None
