"""One pass that can be computed again: from the batch through the model to the loss."""

import functools
import logging
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .._random_state import random_state, restore_random_state
from .._readback import read_tensor_scalar
from .._recorded import recorded
from ..measure.forward_trace import CLASSIFICATION
from .tape import Entry, Ref, changed_by, changes_in_place, swapped, tensors_within

LOG = logging.getLogger(__name__)

FACTORS = frozenset({"neg", "__neg__", "mul", "__mul__", "__rmul__", "div", "__truediv__", "true_divide"})
"""What a script does to a loss that is one number already."""


SUMS = frozenset({"add", "__add__", "__radd__", "__iadd__", "add_", "sub", "__sub__", "__rsub__", "subtract"})
"""What makes one loss of several."""

PRODUCTS = FACTORS | {"mul_", "__imul__", "div_", "__itruediv__", "__rtruediv__", "__rdiv__", "divide", "multiply"}
"""What multiplies or divides by a number."""

MADE_OF_NUMBERS = frozenset({"tensor", "as_tensor", "scalar_tensor", "full"})
"""Functions that make a tensor of plain numbers, which are what it holds."""

CONSTANT = ("zeros", "ones", "full", "empty", "eye", "arange", "linspace", "tril", "triu", "new_zeros", "new_ones")
"""Functions whose results say nothing of the data: first states, positions, masks."""

DRAWN = ("rand", "normal", "uniform", "bernoulli", "exponential", "poisson", "multinomial", "log_normal")
"""Functions whose results are data, whatever they were given."""

KEEP_STATISTICS = frozenset({"batch_norm", "instance_norm"})
"""Functions that go on with running statistics that they are given."""


class CannotReplay(Exception):
    """The pass was made of something that the tape does not have, or its batch is no longer as it was."""


class TapedPass:
    """A pass from batch to loss, by the calls that a script has made. What it costs is paid when it is looked at.

    Args:
        entries: the calls in their order.
        loss: what was differentiated.
        place: where on the tape it was made; None if it was not.
        random: torch's random generator before the first call.
    """

    def __init__(self, entries: Sequence[Entry], loss: Tensor, place: Ref | None, random: Tensor | None) -> None:
        self.loss = loss.detach()
        self._has_graph = loss.requires_grad
        self.entries = entries
        self._place = place
        self._random = random
        self._data: _Data | None = None

    @property
    def roots(self) -> list[nn.Module]:
        """The models, in the order of their first call."""
        return list({id(call): call for entry in self.entries if isinstance(call := entry.call, nn.Module)}.values())

    @property
    def lines(self) -> dict[str, tuple[str, int] | None]:
        """Where the user's code calls the first "model", and where it computes the "loss"."""
        model = next((entry.line for entry in self.entries if entry.is_model), None)
        return {"model": model, "loss": None if self._place is None else self.entries[self._place.entry].line}

    @property
    def classifies(self) -> bool:
        """Whether one of torch's classification losses is in it."""
        return any(entry.name in CLASSIFICATION for entry in self.entries)

    @property
    def inputs(self) -> dict[str, Tensor]:
        """The data that meets models and their parameters, by a name that says where: as it is there."""
        return self._met().inputs

    @property
    def others(self) -> dict[str, Tensor]:
        """What meets results of those: targets, masks, constants."""
        return self._met().others

    @property
    def outside(self) -> dict[str, Tensor]:
        """The tensors from outside that anything was computed of, as they came, by what they went into."""
        found: dict[str, Tensor] = {}
        known: set[int] = set()
        for entry in self.entries:
            for each in _given(entry):
                if not _is_parameter(each) and id(each) not in known:
                    known.add(id(each))
                    found[_free(entry.name, found)] = each
        return found

    @property
    def numbers(self) -> set[float]:
        """The plain numbers that models and functions were given, single numbers in tensors from outside among them."""
        return self._plain_numbers(self.entries) | self._single_numbers()

    @property
    def factors(self) -> set[float]:
        """Those of them that anything was multiplied or divided by."""
        return self._plain_numbers([each for each in self.entries if each.name in PRODUCTS]) | self._single_numbers()

    @staticmethod
    def _plain_numbers(entries: Sequence[Entry]) -> set[float]:
        given = (each for entry in entries for each in (*entry.args, *entry.kwargs.values()))
        return {float(each) for each in given if type(each) in (int, float)}

    def _single_numbers(self) -> set[float]:
        single = (read_tensor_scalar(each) for each in self.outside.values() if each.numel() == 1 and not each.ndim)
        return {number for number in single if number is not None}

    @property
    def factor(self) -> float:
        """By what plain numbers a script has multiplied the loss that it had, before it differentiated it."""
        product = 1.0
        entry = None if self._place is None else self.entries[self._place.entry]
        while entry is not None and entry.name in FACTORS and len(before := _references(entry)) == 1:
            product *= _multiplier(entry, [float(each) for each in entry.args if isinstance(each, (int, float))])
            entry = self.entries[before[0].entry]
        return abs(product)

    @property
    def terms(self) -> list[tuple[Ref, str, float]]:
        """What the loss adds up: where it was made, the operation that made it, and what the script multiplied it by.

        Numbers in tensors count too, those of a scaler among them.
        """
        found: list[tuple[Ref, str, float]] = []
        waiting = [] if self._place is None else [(self._place, 1.0)]
        while waiting:
            place, product = waiting.pop()
            entry = self.entries[place.entry]
            before = _references(entry)
            plain = {each: numbers for each in before if (numbers := self._constant(each)) is not None}
            made = [each for each in before if each not in plain]
            if entry.name in FACTORS and len(made) == 1:
                numbers = [*_numbers_of(entry), *(number for several in plain.values() for number in several)]
                waiting.append((made[0], product * _multiplier(entry, numbers)))
            elif entry.name in SUMS and before:
                waiting += [(each, product) for each in reversed(before)]
            else:
                found.append((place, entry.name, abs(product)))
        return found

    def _constant(self, place: Ref) -> list[float] | None:
        """The plain numbers that it was made of, if there is nothing else in it: `torch.tensor(weight)`."""
        entry = self.entries[place.entry]
        if entry.name not in MADE_OF_NUMBERS or _references(entry) or _given(entry):
            return None
        return [float(each) for each in entry.args if isinstance(each, (int, float))]

    @property
    def leaves(self) -> list[Tensor]:
        """The weights that functions outside of the models were given."""
        found = {id(each): each for entry in self.entries for each in _given(entry) if _is_parameter(each)}
        return list(found.values())

    def reduction(self) -> tuple[int, float]:
        """The place among the calls of the one that has made a single number of many, and the sign of what follows."""
        assert self._place is not None
        place, sign = self._place.entry, 1.0
        while self.entries[place].name in FACTORS and len(before := _references(self.entries[place])) == 1:
            numbers = [each for each in self.entries[place].args if isinstance(each, (int, float))]
            negative = self.entries[place].name.strip("_") == "neg" or any(each < 0 for each in numbers)
            place, sign = before[0].entry, -sign if negative else sign
        return place, sign

    def check(self) -> None:
        """See whether it can be computed again.

        Raises:
            CannotReplay: it cannot, and why.
        """
        with torch._C.DisableTorchFunction():
            self._check()

    def _check(self) -> None:
        if self._place is None:
            raise CannotReplay(recorded("the loss was computed by something that torch does not show"))
        if any(tensor._version != version for entry in self.entries for tensor, version in entry.versions):
            raise CannotReplay(recorded("the batch was changed in place after the model had seen it"))
        used = {id(tensor) for entry in self.entries if not entry.outside for tensor in _given(entry)}
        needed: set[int] | None = None  # asked for only where something is unknown
        for place, entry in enumerate(self.entries):
            if entry.outside and any(id(tensor) in used for tensor in tensors_within(entry.changed)):
                raise CannotReplay(
                    recorded("{operation} changes a tensor in place that was there before", operation=entry.name)
                )
            if entry.is_model or all(tensor.grad_fn is None for tensor in _given(entry)):
                continue
            needed = self._needed() if needed is None else needed
            if place in needed:
                raise CannotReplay(
                    recorded(
                        "{operation} was given something that torch does not show how it was computed",
                        operation=entry.name,
                    )
                )

    def _needed(self) -> set[int]:
        """The places of calls that the loss is made of: not of what a script writes down of the step before.

        What is written in place may reach it through a view.
        """
        assert self._place is not None
        waiting = [self._place.entry, *(at for at, entry in enumerate(self.entries) if changes_in_place(entry.call))]
        needed: set[int] = set()
        while waiting:
            place = waiting.pop()
            if place not in needed:
                needed.add(place)
                waiting += [each.entry for each in _references(self.entries[place])]
        return needed

    def replay(
        self,
        others: Mapping[str, Tensor] | None = None,
        *,
        on_call: Callable[[Entry, tuple[Any, ...], dict[str, Any]], None] | None = None,
        on_made: Callable[[Ref, Tensor], None] | None = None,
        saying: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, Any]:
        """Compute the loss again, with its graph, from the weights as they are now.

        Args:
            others: tensors that take the place of those of the same name in `inputs` and `others`.
            on_call: is told each call, with its arguments, before it is made.
            on_made: is told each single number that was made, and its place.
            saying: makes what is put in the place of what models return; None: that itself.

        Returns:
            The loss, and what the last model returned.

        Raises:
            CannotReplay: see `check`.
        """
        self.check()
        if self._random is not None:
            torch.set_rng_state(self._random)
        given: dict[Any, Tensor] = {}
        if others:
            given = {key: others[name] for name, key in self._met().keys.items() if name in others}
        made: list[list[Tensor]] = []
        output: Any = None
        trained = self._trained() if given else []

        def value(thing: Tensor | Ref) -> Tensor:
            # Only where data meets what is trained another takes its place: what else is made of it stays.
            found = given.get(_key(thing)) if given and trained[len(made)] else None
            if found is None:
                found = made[thing.entry][thing.place] if isinstance(thing, Ref) else thing
            return found.detach() if not isinstance(thing, Ref) and found.grad_fn is not None else found

        for entry in self.entries:
            inside = (object,) if given and entry.is_model else ()
            args, kwargs = swapped(entry.args, value, inside=inside), swapped(entry.kwargs, value, inside=inside)
            if on_call is not None:
                on_call(entry, args, kwargs)
            if entry.outside:  # it has been changed: gradients set to zero, weights copied from others, averaged
                made.append(list(tensors_within(changed_by(entry.call, args, kwargs))))
                continue
            if entry.name in KEEP_STATISTICS:
                args, kwargs = _with_own_statistics(args, kwargs)
            result = entry.again(args, kwargs)
            if saying is not None and entry.is_model:
                said = functools.partial(_said, saying)
                result = swapped(result, said, inside=(MutableMapping,))
            if changes_in_place(entry.call) and not isinstance(result, Tensor):
                result = args[0]
            made.append(list(tensors_within(result)))
            for at, each in enumerate(made[-1] if on_made is not None else ()):
                if on_made is not None and each.numel() == 1:
                    on_made(Ref(len(made) - 1, at), each)
            if entry.is_model:
                output = result
        assert self._place is not None
        loss = made[self._place.entry][self._place.place]
        if self._has_graph and not loss.requires_grad and saying is None and torch.is_grad_enabled():
            raise CannotReplay(recorded("the loss was differentiated by a function of the user's own"))
        return loss, output

    def _trained(self) -> list[bool]:
        """Of each entry whether a parameter has had a part in it."""
        found: list[bool] = []
        for entry in self.entries:
            meets = entry.is_model or any(_is_parameter(each) for each in _given(entry))
            found.append(meets or any(found[ref.entry] for ref in _references(entry)))
        return found

    def _met(self) -> "_Data":
        """Data where it meets what is trained: what a script has made of a batch before, and what it draws itself."""
        if self._data is None:
            trained = self._trained()
            made = self._prepared(trained)
            self._data = data = _Data({}, {}, {})
            known: set[Any] = set()
            needed = set(range(len(trained))) if self._place is None else self._needed()
            for place, entry in enumerate(self.entries):
                if not trained[place] or place not in needed:
                    continue
                meets = entry.is_model or any(_is_parameter(each) for each in _given(entry))
                part = data.inputs if meets else data.others
                prepared = [ref for ref in _references(entry) if not trained[ref.entry]]
                things = [each for each in _given(entry) if not _is_parameter(each)]
                for thing in [*things, *prepared]:
                    tensor = made.get(_key(thing)) if isinstance(thing, Ref) else thing
                    if tensor is None or _key(thing) in known:
                        continue
                    known.add(_key(thing))
                    taken = {**data.inputs, **data.others}  # one name for both: they are replaced by it
                    name = _free(f"{entry.name}.{len(part)}" if entry.is_model else entry.name, taken)
                    part[name], data.keys[name] = tensor, _key(thing)
            for part in (data.inputs, data.others):
                if any(each.ndim for each in part.values()):  # single numbers beside a batch: weights, counts, totals
                    for name in [name for name, each in part.items() if not each.ndim]:
                        del part[name], data.keys[name]
        return self._data

    def _prepared(self, trained: Sequence[bool]) -> dict[Any, Tensor]:
        """What was computed without a parameter, but of data: computed again, with the random numbers of then."""
        values: dict[Any, Tensor] = {}
        carries: list[bool] = []

        def value(thing: Tensor | Ref) -> Tensor:
            return values[_key(thing)] if isinstance(thing, Ref) else thing

        state = random_state()
        try:
            if self._random is not None:
                torch.set_rng_state(self._random)
            with torch._C.DisableTorchFunction():
                for place, entry in enumerate(self.entries):
                    refs = _references(entry)
                    of_data = bool(_given(entry)) or any(carries[ref.entry] for ref in refs) or not refs
                    drawn = entry.name.startswith(DRAWN)
                    carries.append(drawn or (of_data and not entry.name.startswith(CONSTANT)))
                    if trained[place]:
                        continue
                    args, kwargs = swapped(entry.args, value), swapped(entry.kwargs, value)
                    result = changed_by(entry.call, args, kwargs) if entry.outside else entry.again(args, kwargs)
                    if changes_in_place(entry.call) and not isinstance(result, Tensor):
                        result = args[0]
                    values |= {Ref(place, at): each for at, each in enumerate(tensors_within(result))}
        except Exception:
            LOG.debug("what a script has made of its batch cannot be computed again", exc_info=True)
        finally:
            restore_random_state(state)
        return {key: each for key, each in values.items() if carries[key.entry]}


@dataclass
class _Data:
    """Inputs and others by name, and for each name what stands for it among the arguments of entries."""

    inputs: dict[str, Tensor]
    others: dict[str, Tensor]
    keys: dict[str, Any]


def _said(saying: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
    return saying(value) if value.is_floating_point() else value


def _multiplier(entry: Entry, numbers: Sequence[float]) -> float:
    """What an entry of `FACTORS` multiplies by, of the plain numbers that it was given."""
    number = numbers[0] if numbers else 1.0
    return 1.0 / number if "div" in entry.name and number else number


def _numbers_of(entry: Entry) -> list[float]:
    """The plain numbers that an entry was given, and those in tensors from outside."""
    plain = [float(each) for each in entry.args if isinstance(each, (int, float))]
    single = (read_tensor_scalar(each) for each in _given(entry) if each.numel() == 1 and not _is_parameter(each))
    return plain + [number for number in single if number is not None]


def _key(thing: Tensor | Ref) -> Any:
    return thing if isinstance(thing, Ref) else id(thing)


def _is_parameter(tensor: Tensor) -> bool:
    return tensor.is_leaf and tensor.requires_grad


def _references(entry: Entry) -> list[Ref]:
    """What an entry was given of the results of others."""
    found: list[Ref] = []

    def keep(thing: Any) -> Any:
        if isinstance(thing, Ref):
            found.append(thing)
        return thing

    swapped((entry.args, entry.kwargs), keep, 5)
    return found


def _with_own_statistics(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a normalisation with copies of the running statistics that it would go on with."""

    def copied(each: Any) -> Any:
        return each.clone() if isinstance(each, Tensor) else each

    running = {name: copied(each) for name, each in kwargs.items() if name.startswith("running_")}
    return (*args[:1], *map(copied, args[1:3]), *args[3:]), {**kwargs, **running}


def _given(entry: Entry) -> list[Tensor]:
    """The tensors from outside among an entry's arguments."""
    return list(tensors_within((entry.args, entry.kwargs)))


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
