"""An oracle of "nothing has changed": a digest of every value that a training can reach, by path.

It shares no code with steadygrad, and it knows no optimizer: it walks over what is there. Functions are passed over,
and so are torch's tables of hooks: they are no values of the training.
"""

import hashlib
import random
from collections import deque
from collections.abc import Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

PASSED_OVER = (BuiltinFunctionType, FunctionType, MethodType, ModuleType, ReferenceType, type)


def fingerprint(
    *,
    model: nn.Module | None = None,
    optimizer: Optimizer | None = None,
    scaler: Any = None,
    scheduler: Any = None,
    extra: Any = None,
    gradients: bool = False,
) -> dict[str, str]:
    """A digest of every value that can be reached from the arguments, and of the random number generators, by path."""
    walk = _Walk(gradients)
    things = {"model": model, "optimizer": optimizer, "scaler": scaler, "scheduler": scheduler, "extra": extra}
    for name, thing in things.items():
        if thing is not None:
            walk(name, thing)
    walk("rng.python", repr(random.getstate()))
    walk("rng.numpy", np.random.get_state(legacy=False))
    walk("rng.torch", torch.get_rng_state())
    if torch.cuda.is_available():
        walk("rng.cuda", torch.cuda.get_rng_state_all())
    return walk.digests


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The paths whose values differ, have appeared or have vanished."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


class _Walk:
    def __init__(self, gradients: bool) -> None:
        self.digests: dict[str, str] = {}
        self._gradients = gradients
        # Keeps what it has seen alive: an identity must not be given away twice during one walk.
        self._seen: dict[int, tuple[str, Any]] = {}

    def __call__(self, path: str, thing: Any) -> None:
        if isinstance(thing, PASSED_OVER):
            return
        value = _value(thing)
        if value is not None:
            self.digests[path] = hashlib.sha256(value).hexdigest()
            if self._gradients and isinstance(thing, nn.Parameter):
                self(f"{path}.grad", thing.grad)
            return
        if id(thing) in self._seen:
            self.digests[path] = f"the same as {self._seen[id(thing)][0]}"
            return
        self._seen[id(thing)] = (path, thing)
        parts = _parts(thing)
        self.digests[path] = f"{type(thing).__qualname__} of {len(parts)}"  # an empty container is something, too
        for name, part in parts.items():
            self(f"{path}{name}", part)


def _value(thing: Any) -> bytes | None:
    """The bytes of what cannot be taken apart; None for what can."""
    if isinstance(thing, Tensor):
        return _bits(thing)
    if isinstance(thing, torch.Generator):
        return _bits(thing.get_state())
    if isinstance(thing, np.ndarray) and thing.dtype != object:
        return f"{thing.dtype} {thing.shape}".encode() + thing.tobytes()
    if thing is None or isinstance(thing, (bool, int, float, complex, str, bytes, Enum, np.generic)):
        return f"{type(thing).__name__} {thing!r}".encode()
    return repr(thing).encode() if isinstance(thing, (torch.dtype, torch.device, torch.Size)) else None


def _bits(tensor: Tensor) -> bytes:
    tensor = tensor.detach()
    if tensor.is_sparse:
        return _bits(tensor._indices()) + _bits(tensor._values())
    about = f"{tensor.dtype} {tuple(tensor.shape)} {tensor.device}".encode()
    return about + tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _parts(thing: Any) -> dict[str, Any]:
    """What a container or an object is made of, by name."""
    if isinstance(thing, Mapping):
        return {f"[{_name(key, place)}]": value for place, (key, value) in enumerate(thing.items())}
    if isinstance(thing, (list, tuple, deque, np.ndarray)):
        return {f"[{place}]": value for place, value in enumerate(thing)}
    if isinstance(thing, (set, frozenset)):
        return {f"[{place}]": value for place, value in enumerate(sorted(thing, key=repr))}
    if isinstance(thing, random.Random):
        return {".state": repr(thing.getstate())}
    if isinstance(thing, np.random.Generator):
        return {".state": thing.bit_generator.state}
    if isinstance(thing, np.random.RandomState):
        return {".state": thing.get_state(legacy=False)}
    slots = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
    names = {**vars(thing)} if hasattr(thing, "__dict__") else {}
    names.update((name, getattr(thing, name)) for name in slots if not name.startswith("__") and hasattr(thing, name))
    if isinstance(thing, Optimizer):
        # By the parameters' places, since the order in which their states were made says nothing.
        params = {id(param): place for place, param in enumerate(p for g in thing.param_groups for p in g["params"])}
        state = enumerate(thing.state.items())
        names["state"] = {_name(key, params.get(id(key), f"other {n}")): value for n, (key, value) in state}
        names.pop("_opt_called", None)  # a scheduler's note that `step` has been called, and so it has
    return {f".{name}": value for name, value in names.items() if "_hooks" not in name}


def _name(key: Any, place: Any) -> str:
    return f"tensor {place}" if isinstance(key, Tensor) else repr(key)
