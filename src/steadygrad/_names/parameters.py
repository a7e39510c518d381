"""Names of parameters as the user knows them: module paths, and for flat scripts the names of variables."""

import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from torch import Tensor, nn

from .roots import unwrapped

MAX_ITEMS = 100_000
"""Items of a container of tensors that are looked at for names."""


def name_parameters(params: Sequence[Tensor], roots: Sequence[nn.Module], frame: FrameType | None) -> list[str]:
    """Name every parameter.

    One root: its own paths ("rnn.weight_hh_l0"). Several: the variable that holds each root, or its class, in front
    ("encoder.rnn.weight_hh_l0"). What no module owns has the name of the variable that holds it ("W1", "params[3]").

    Args:
        params: the parameters, in the optimizer's order.
        roots: the modules that own them, see `find_roots`.
        frame: the innermost frame of the user's code, whose variables give names; outer frames are looked at too.

    Returns:
        One unique name for each parameter, in the same order.
    """
    wanted = {id(param) for param in params}
    names: dict[int, str] = {}
    inner = [unwrapped(root) for root in roots]
    prefixes = [""] if len(inner) == 1 else _root_names(inner, frame)
    for root, prefix in zip(inner, prefixes, strict=True):
        for name, param in root.named_parameters(remove_duplicate=False):
            if id(param) in wanted:
                names.setdefault(id(param), f"{prefix}{_without_wrappers(name)}")
    if wanted - names.keys():
        for name, thing in _variables(frame):
            if id(thing) in wanted:
                names.setdefault(id(thing), name)
    return _unique([names.get(id(param), f"param{place}") for place, param in enumerate(params)])


def _root_names(roots: Sequence[nn.Module], frame: FrameType | None) -> list[str]:
    wanted = {id(root) for root in roots}
    found: dict[int, str] = {}
    for name, thing in _variables(frame):
        inner = unwrapped(thing) if isinstance(thing, nn.Module) else thing
        if id(inner) in wanted:
            found.setdefault(id(inner), name)
    names = [found.get(id(root), type(root).__name__) for root in roots]
    return [f"{name}." for name in _unique(names)]


def _variables(frame: FrameType | None) -> Iterator[tuple[str, Any]]:
    """Variables of the frames from `frame` outwards and of `__main__`, and the items of those that are containers."""
    scopes: list[dict[str, Any]] = []
    while frame is not None:
        if not str(frame.f_globals.get("__name__", "")).startswith(("torch", "steadygrad")):
            scopes.append(dict(frame.f_locals))
        frame = frame.f_back
    main = sys.modules.get("__main__")
    if main is not None:
        scopes.append(dict(vars(main)))
    for scope in scopes:
        for name, thing in scope.items():
            if name.startswith("__"):
                continue
            yield name, thing
            yield from _items(name, thing)
            if name == "self":
                for attribute, value in getattr(thing, "__dict__", {}).items():
                    yield attribute, value
                    yield from _items(attribute, value)


def _items(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if type(thing) in (list, tuple) and len(thing) <= MAX_ITEMS:
        for place, item in enumerate(thing):
            yield f"{name}[{place}]", item
    elif type(thing) is dict and len(thing) <= MAX_ITEMS:
        for key, item in thing.items():
            if isinstance(key, (str, int)):
                yield f"{name}[{key!r}]", item


def _without_wrappers(name: str) -> str:
    return name.replace("_orig_mod.", "")


def _unique(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return result
