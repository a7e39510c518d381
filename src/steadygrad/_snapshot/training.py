"""A training state in memory: what an optimizer moves and remembers, and what a replay needs beside it."""

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from .._random_state import random_state, restore_random_state
from .walk import PLAIN, buffer_owners, with_inner

SCALER_STATE = ("_scale", "_growth_tracker")
"""Of a `GradScaler`: tensors once it has been used."""


@dataclass(slots=True)
class TrainingParts:
    """Everything of one training that a snapshot is about.

    `averages` are modules that follow the trained ones (EMA). `stateful` are objects with `state_dict` and
    `load_state_dict` that only a replay puts back: schedulers, data loaders that know their position.
    `own_options` are the keys of parameter groups that the optimizer's own steps change (not a scheduler).
    """

    params: Sequence[Tensor]
    optimizer: Optimizer
    modules: Sequence[nn.Module] = ()
    averages: Sequence[nn.Module] = ()
    scaler: Any = None
    stateful: Sequence[Any] = ()
    own_options: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Tensor]:
        """Every tensor that a restore would write, as far as it exists by now."""
        for each in self._places():
            yield from each

    def _places(self) -> Iterator[Iterable[Tensor]]:
        yield (param.detach() for param in self.params)
        for optimizer in with_inner(self.optimizer):
            yield _tensors(optimizer.state)
        yield (b for owner in buffer_owners(self.modules) for b in owner.values() if b is not None and not is_lazy(b))
        for average in self.averages:
            yield (value for value in average.state_dict().values() if isinstance(value, Tensor))

    def size(self) -> int:
        """Bytes of all of it."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self)


@dataclass(slots=True)
class _Kept:
    """The copies of one snapshot."""

    params: list[Tensor] = field(default_factory=list)
    optimizers: list[tuple[Any, list[dict[str, Any]], dict[str, Any]]] = field(default_factory=list)
    buffers: list[dict[str, Tensor]] = field(default_factory=list)
    averages: list[dict[str, Any]] = field(default_factory=list)
    scaler: dict[str, Any] = field(default_factory=dict)
    stateful: list[Any] = field(default_factory=list)
    rng: dict[str, Any] = field(default_factory=dict)
    every_option: list[dict[str, Any]] = field(default_factory=list)


class TrainingSnapshot:
    """A copy of a training state in host memory; taken again, it uses the memory that it has.

    A live rollback (`restore_`) puts back parameters, moments, counters, buffers, averages and the scaler: the user's
    loop, its schedule, its data and its random numbers go on. `restore_everything_` is for replays.

    `step` is the number of steps made before it; `given` says that it is the state the training began with;
    `loss` is the level of the loss then, if it is known.

    Example:
        >>> weight = nn.Parameter(torch.ones(2))
        >>> parts = TrainingParts([weight], torch.optim.SGD([weight], lr=0.1))
        >>> snapshot = TrainingSnapshot()
        >>> snapshot.take(0, parts)
        >>> with torch.no_grad():
        ...     _ = weight.fill_(float("nan"))
        >>> snapshot.restore_(parts)
        >>> weight
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    def __init__(self) -> None:
        self.step = -1
        self.given = False
        self.loss: float | None = None
        self.guard_state: Any = None
        self._kept = _Kept()

    @property
    def rates(self) -> list[Any]:
        """The learning rates of the parameter groups then."""
        return [options.get("lr") for options in self._kept.every_option]

    @property
    def params(self) -> list[Tensor]:
        """The parameters as they were."""
        return self._kept.params

    @torch.no_grad()
    def take(self, step: int, parts: TrainingParts, guard_state: Any = None) -> None:
        """Copy the state as it is now.

        Args:
            step: the number of optimizer steps made so far.
            parts: what is copied.
            guard_state: plain data of the watcher that goes with this state.
        """
        old = self._kept
        kept = _Kept()
        kept.params = [_keep(param.detach(), _at(old.params, place)) for place, param in enumerate(parts.params)]
        for place, optimizer in enumerate(with_inner(parts.optimizer)):
            state, options, counters = _at(old.optimizers, place) or (None, [], {})
            state = _keep_state(optimizer.state, state)
            options = [{k: _keep(g[k], None) for k in parts.own_options if k in g} for g in optimizer.param_groups]
            counters = {k: v for k, v in vars(optimizer).items() if isinstance(v, PLAIN)}
            kept.optimizers.append((state, options, counters))
        for place, owner in enumerate(buffer_owners(parts.modules)):
            before = _at(old.buffers, place) or {}
            kept.buffers.append({name: _keep(b, before.get(name)) for name, b in owner.items() if b is not None})
        for place, average in enumerate(parts.averages):
            kept.averages.append(_keep(dict(average.state_dict()), _at(old.averages, place)))
        kept.scaler = {name: _keep(getattr(parts.scaler, name, None), None) for name in SCALER_STATE}
        kept.stateful = [_copied(thing.state_dict()) for thing in parts.stateful]
        kept.rng = random_state()
        groups = parts.optimizer.param_groups
        kept.every_option = [{k: _keep(v, None) for k, v in group.items() if k != "params"} for group in groups]
        self._kept, self.step, self.guard_state = kept, step, guard_state

    @torch.no_grad()
    def restore_(self, parts: TrainingParts) -> None:
        """Put back what the optimizer moves and remembers, in place, and the scaler; gradients are the caller's.

        Averages that have been added behind the others since it was taken are left alone.
        """
        kept = self._kept
        for param, value in zip(parts.params, kept.params, strict=True):
            param.copy_(value)
        for optimizer, (state, options, counters) in zip(with_inner(parts.optimizer), kept.optimizers, strict=True):
            _restore_state(optimizer.state, state)
            for group, values in zip(optimizer.param_groups, options, strict=False):
                group.update({key: _restored(value, group.get(key)) for key, value in values.items()})
            vars(optimizer).update(counters)
        self.restore_buffers_(parts)
        for average, values in zip(parts.averages, kept.averages, strict=False):
            average.load_state_dict(values)
        if parts.scaler is not None:
            for name, value in kept.scaler.items():
                if value is not None:
                    setattr(parts.scaler, name, _restored(value, getattr(parts.scaler, name, None)))

    @torch.no_grad()
    def restore_buffers_(self, parts: TrainingParts, wanted: Callable[[Tensor], bool] | None = None) -> list[str]:
        """Put back module buffers only: all of them, or those of modules in which one is `wanted`; returns names."""
        names = []
        for owner, values in zip(buffer_owners(parts.modules), self._kept.buffers, strict=False):
            if wanted is not None and not any(wanted(b) for b in owner.values() if b is not None and not is_lazy(b)):
                continue
            for name, value in values.items():
                buffer = owner.get(name)
                if buffer is not None and not is_lazy(buffer) and buffer.shape == value.shape:
                    buffer.data.copy_(value)  # uncounted: see `BufferSnapshot.restore_`
                    names.append(name)
        return names

    def restore_everything_(self, parts: TrainingParts) -> None:
        """Put back all of it, schedulers, data loaders and random numbers too: for a replay."""
        self.restore_(parts)
        for group, options in zip(parts.optimizer.param_groups, self._kept.every_option, strict=True):
            for key, value in options.items():
                if isinstance(value, Tensor) or group.get(key) != value:
                    group[key] = _restored(value, group.get(key))
        for thing, state in zip(parts.stateful, self._kept.stateful, strict=False):
            thing.load_state_dict(_copied(state))
        restore_random_state(self._kept.rng)


def _tensors(thing: Any) -> Iterator[Tensor]:
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from _tensors(value)
    elif isinstance(thing, (list, tuple, deque)):
        for value in thing:
            yield from _tensors(value)


def _at(kept: Sequence[Any], place: int) -> Any:
    return kept[place] if place < len(kept) else None


def _keep(value: Any, old: Any) -> Any:
    """A copy in host memory, in the memory of the old copy where that fits."""
    if isinstance(value, Tensor):
        value = value.detach()
        fits = isinstance(old, Tensor) and old.shape == value.shape and old.dtype == value.dtype
        if not fits or old.layout != value.layout or value.layout != torch.strided:
            return value.clone() if value.is_cpu else _to_host(value)
        return old.copy_(value, non_blocking=True)
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        return {key: _keep(each, before.get(key)) for key, each in value.items()}
    if isinstance(value, (list, tuple, deque)):
        copies = [_keep(each, None) for each in value]
        return type(value)(*copies) if hasattr(value, "_fields") else type(value)(copies)
    return value if isinstance(value, PLAIN) else copy.deepcopy(value)


def _to_host(value: Tensor) -> Tensor:
    if value.layout != torch.strided:
        return value.to("cpu")
    # Pinned, so that the copy waits for nothing; it is in the stream's order, before the next step.
    return torch.empty(value.shape, dtype=value.dtype, pin_memory=value.is_cuda).copy_(value, non_blocking=True)


def _keep_state(state: Any, old: Any) -> dict[Any, Any]:
    # Parameters are keys by identity: they are kept as they are.
    before = old if isinstance(old, dict) else {}
    return {key: _keep(value, before.get(key)) for key, value in state.items()}


def _restore_state(state: Any, kept: dict[Any, Any]) -> None:
    for key in [key for key in state if key not in kept]:
        del state[key]
    for key, value in kept.items():
        now = state.get(key)
        if isinstance(value, dict) and isinstance(now, dict):
            for name in [name for name in now if name not in value]:
                del now[name]
            now.update({name: _restored(each, now.get(name), _device(key)) for name, each in value.items()})
        else:
            state[key] = _restored(value, now, _device(key))


def _device(key: Any) -> torch.device | None:
    return key.device if isinstance(key, Tensor) else None


def _restored(value: Any, now: Any, device: torch.device | None = None) -> Any:
    """The kept value, written into the tensor that is there: compiled and captured steps know that one."""
    if isinstance(value, Tensor):
        if isinstance(now, Tensor) and now.shape == value.shape and now.dtype == value.dtype:
            return now.copy_(value)
        # Counters live on the CPU beside moments on an accelerator: what is 0-d stays where it was kept.
        return value.clone() if device is None or not value.ndim else value.to(device, copy=True)
    if isinstance(value, dict):
        made = {key: _restored(each, None, device) for key, each in value.items()}
        return defaultdict(now.default_factory, made) if isinstance(now, defaultdict) else made
    if isinstance(value, (list, tuple, deque)):
        copies = [_restored(each, None, device) for each in value]
        return type(value)(*copies) if hasattr(value, "_fields") else type(value)(copies)
    return value if isinstance(value, PLAIN) else copy.deepcopy(value)


def _copied(state: Any) -> Any:
    return _keep(state, None)
