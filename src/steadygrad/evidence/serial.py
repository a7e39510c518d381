"""Evidence as JSON takes it, and back: it lies in a recorded run."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from .._strict_json import lenient, strict
from .evidence import Evidence


def to_plain(evidence: Evidence) -> dict[str, Any]:
    """The evidence as plain structures; non-finite numbers are strings."""
    return strict(_plain(evidence))


def from_plain(values: Mapping[str, Any]) -> Evidence:
    """The inverse of `to_plain`. Fields of a later version are left out, missing ones have their default.

    Raises:
        ValueError: the values are no evidence.
    """
    try:
        return _made(Evidence, lenient(values))
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"not the evidence of a recorded run: {error}") from error


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _made(kind: Any, value: Any) -> Any:
    """A value of a type, from what JSON has made of it."""
    origin, args = get_origin(kind), get_args(kind)
    if value is None:
        return None
    if origin in (Union, UnionType):
        return _made(next(each for each in args if each is not type(None)), value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(**{name: _made(hints[name], each) for name, each in value.items() if name in hints})
    if origin in (list, tuple, frozenset, Sequence):
        several = (_made(args[0], each) for each in value)
        return {list: list, frozenset: frozenset}.get(origin, tuple)(several)
    if origin in (dict, Mapping):
        return {key: _made(args[1], each) for key, each in value.items()}
    return value


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
