"""What a script computes between its model and its backward pass, written down so that it can be computed again.

A model's calls stand on the tape as one entry each; between them every function of torch that gives a tensor. Values
are not copied: what comes from outside (the batch, targets, weights) is kept by reference, what was computed on the way
by its place on the tape.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack  # pyright: ignore[reportMissingImports]
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from .._clock import own_seconds
from .._recorded import recorded
from ..measure.source_line import source_line

PLAIN = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.Size, slice})
"""Types without a tensor in them."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor that an entry of the tape has made: which entry, and which of its tensors."""

    entry: int
    place: int


@dataclass(slots=True)
class Entry:
    """One call: of a model, or of a function of torch. `line` is where the user's code made it; `outside` says whether
    it has changed, in place, a tensor that was there before the pass."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    line: tuple[str, int] | None
    grad: bool
    autocast: tuple[str, torch.dtype] | None
    versions: tuple[tuple[Tensor, int], ...] = ()
    outside: bool = False

    @property
    def changed(self) -> Any:
        """What it changes in place; None for a function that only computes."""
        return changed_by(self.call, self.args, self.kwargs)

    @property
    def is_model(self) -> bool:
        """Whether this is a call of a model."""
        return isinstance(self.call, nn.Module)

    @property
    def name(self) -> str:
        """Of the function, or of the model's class."""
        return type(self.call).__name__ if self.is_model else getattr(self.call, "__name__", "")

    def again(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make the call with these arguments, under what it was made under."""
        with ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(self.grad))
            if self.autocast is not None:
                stack.enter_context(torch.autocast(*self.autocast))
            return self.call(*args, **kwargs)


class Tape(TorchFunctionMode):
    """Writes down the functions of torch that are called while it is on.

    Args:
        most: entries after which it gives up: this is no loss, but another computation.
        updated: storages of weights that the script changes itself: once one is changed, what was written down before
            belongs to the step before.
        on_update: is told then.
    """

    def __init__(
        self, most: int, updated: frozenset[int] = frozenset(), on_update: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__()
        self._updated = updated
        self._on_update = on_update
        self._most = most
        self._made: dict[int, Ref] = {}
        self._alive: list[Any] = []  # ids are those of living things only
        self._from_outside: dict[int, bool] = {}  # storages that were changed: whether they were there before
        self.entries: list[Entry] = []
        self.broken = ""
        self.ended = False
        self.spent = 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if not self.broken and not self.ended:
            began = own_seconds()
            self.add(func, args, kwargs or {}, output)
            self.spent += own_seconds() - began
        return output

    def add(
        self, call: Any, args: Any, kwargs: dict[str, Any], output: Any, versions: tuple[tuple[Tensor, int], ...] = ()
    ) -> None:
        """Write one call down; those that give no tensor and change none are left out."""
        made: tuple[Any, ...] = ()
        changed = changed_by(call, args, kwargs)
        if self._updated and changes_in_place(call) and self._is_weight(args[0]):
            self.entries.clear()
            self._made.clear()
            self._alive.clear()
            self._from_outside.clear()
            self._on_update()
            return
        if peek_interpreter_stack() is not None:
            self.give_up(recorded("a transform of torch.func"))
        elif len(self.entries) >= self._most:
            self.give_up(recorded("more than {count} functions between the model and the loss", count=self._most))
        elif isinstance(output, Tensor):
            made = (output,)
        elif changed is not None:
            made = tuple(tensors_within(changed))
        else:
            made = tuple(tensors_within(output))
        if self.broken or not made:
            return
        if isinstance(kwargs.get("generator"), torch.Generator) or _reads_gradient(call):
            # It goes on from draw to draw: what was drawn is kept, as a batch is. So is a gradient.
            for tensor in made:
                self._made.pop(id(tensor), None)
            return
        place = len(self.entries)
        outside = changed is not None and any(map(self._was_there, tensors_within(changed)))
        args = tuple([self._kept(each) for each in args])
        kwargs = {key: self._kept(each) for key, each in kwargs.items()}
        line = source_line()
        self.entries.append(Entry(call, args, kwargs, line, torch.is_grad_enabled(), autocast(), versions, outside))
        self._alive.append(made)
        for position, tensor in enumerate(made):
            self._made[id(tensor)] = Ref(place, position)

    def _was_there(self, tensor: Tensor) -> bool:
        """Whether a tensor's numbers were there before the pass: itself, or what it is a view of (`target.data`)."""
        ref = self._made.get(id(tensor))
        if ref is None or tensor.layout is not torch.strided:
            return ref is None
        with torch._C.DisableTorchFunction():
            storage = tensor.untyped_storage().data_ptr()
            if storage not in self._from_outside:
                self._from_outside[storage] = self._is_view_of_outside(ref, storage)
        return self._from_outside[storage]

    def _is_view_of_outside(self, ref: Ref, storage: int) -> bool:
        while True:  # a view is made of the first thing that a function is given
            first = next(iter(self.entries[ref.entry].args), None)
            if isinstance(first, Tensor):
                return first.layout is torch.strided and first.untyped_storage().data_ptr() == storage
            if not isinstance(first, Ref):
                return False
            ref = first

    def _is_weight(self, thing: Any) -> bool:
        if not isinstance(thing, Tensor) or thing.layout is not torch.strided:
            return False
        with torch._C.DisableTorchFunction():
            return thing.untyped_storage().data_ptr() in self._updated

    def give_up(self, reason: str) -> None:
        """This pass cannot be computed again."""
        self.broken = reason
        self.entries.clear()
        self.end()

    def place_of(self, tensor: Tensor) -> Ref | None:
        """Where a tensor was made."""
        return self._made.get(id(tensor))

    def end(self) -> None:
        """Write nothing more, and let go of everything that was computed on the way."""
        self.ended = True
        self._made.clear()
        self._alive.clear()
        self._from_outside.clear()

    def _kept(self, thing: Any) -> Any:
        if isinstance(thing, Tensor):
            return self._ref(thing)
        return thing if type(thing) in PLAIN else swapped(thing, self._ref)

    def _ref(self, tensor: Any) -> Any:
        ref = self._made.get(id(tensor))
        if ref is None and isinstance(tensor, Tensor) and not tensor.is_leaf:
            ref = self._other_class(tensor)
        return tensor if ref is None else ref

    def _other_class(self, tensor: Tensor) -> Ref | None:
        """Where the tensor was made that this one is, as an object of another class: torch shows no call of that."""
        with torch._C.DisableTorchFunction():
            node = tensor.grad_fn
            if node is None or node.name() != "AliasBackward0":
                return None
            before = node.next_functions[0][0]
            for place in reversed(range(len(self._alive))):
                for position, made in enumerate(self._alive[place]):
                    if made.grad_fn is before and made.shape == tensor.shape:
                        return Ref(place, position)
        return None


def _reads_gradient(call: Any) -> bool:
    return getattr(call, "__name__", "") == "__get__" and getattr(call, "__self__", None) is Tensor.grad


def changes_in_place(call: Any) -> bool:
    """Whether a function changes its first argument."""
    name = getattr(call, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__")) or name[:3] == "__i"


def changed_by(call: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a call changes in place: a tensor, or several; None if it only computes."""
    if changes_in_place(call) or kwargs.get("inplace") is True:
        return args[0] if args else None
    return kwargs.get("out")


def autocast() -> tuple[str, torch.dtype] | None:
    """Under which reduced precision torch computes here."""
    for device in ("cuda", "cpu"):
        if torch.is_autocast_enabled(device):
            return device, torch.get_autocast_dtype(device)
    return None


def tensors_within(thing: Any, levels: int = 4) -> Iterator[Tensor]:
    """Every tensor of a structure, in a fixed order: of tuples, dicts, dataclasses, and of an object's attributes."""
    if isinstance(thing, Tensor):
        yield thing
    elif levels and type(thing) not in PLAIN and not isinstance(thing, (Ref, bytes, type, nn.Module)):
        for part in _parts(thing):
            yield from tensors_within(part, levels - 1)


def swapped(thing: Any, swap: Callable[[Any], Any], levels: int = 4, *, inside: tuple[type, ...] = ()) -> Any:
    """The same structure with every tensor and `Ref` replaced; objects of a user's own are left as they are, but for
    those `inside` of which tensors are replaced, too: they are copied."""
    if isinstance(thing, (Tensor, Ref)):
        return swap(thing)
    if not levels:
        return thing
    if isinstance(thing, PackedSequence):
        return thing._replace(data=swap(thing.data))
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return type(thing)(*(swapped(each, swap, levels - 1, inside=inside) for each in thing))
    if type(thing) in (tuple, list):
        return type(thing)(swapped(each, swap, levels - 1, inside=inside) for each in thing)
    if type(thing) is dict:
        return {key: swapped(each, swap, levels - 1, inside=inside) for key, each in thing.items()}
    return _copied(thing, swap, levels, inside) if isinstance(thing, inside) and _has_tensors(thing, levels) else thing


def _copied(thing: Any, swap: Callable[[Any], Any], levels: int, inside: tuple[type, ...]) -> Any:
    """An object with others in the place of its tensors: a graph, a batch, what a model of a library returns."""
    made = copy.copy(thing)
    if isinstance(thing, MutableMapping):
        for key, each in thing.items():
            made[key] = swapped(each, swap, levels - 1, inside=inside)
        return made
    for name, each in getattr(thing, "__dict__", {}).items():
        if _has_tensors(each, levels - 1):
            made.__dict__[name] = swapped(each, swap, levels - 1, inside=inside)
    return made


def _has_tensors(thing: Any, levels: int) -> bool:
    return next(tensors_within(thing, levels), None) is not None


def _parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, PackedSequence):
        yield thing.data
    elif isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, (tuple, list)):
        yield from thing
    elif is_dataclass(thing) and not isinstance(thing, type):
        for each in fields(thing):
            yield getattr(thing, each.name)
    else:
        yield from getattr(thing, "__dict__", {}).values()
