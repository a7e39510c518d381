"""What a script that updates its weights itself remembers of each of them: found where its code keeps it."""

from collections.abc import Iterator, Mapping, Sequence
from types import FrameType, FunctionType, ModuleType
from typing import Any

from torch import Tensor, nn

FRAMES = 12
"""Frames that are looked into, from the innermost outwards."""

MOST = 400
"""Names of one place that are looked at: whoever has more has not written them by hand."""

NO_OWNERS = (Tensor, nn.Module, ModuleType, FunctionType, type, str, bytes, int, float, list, tuple, dict, set)
"""What does not keep such things in attributes of its own: a model has buffers, which are looked after elsewhere."""


def own_moments(params: Sequence[Tensor], frame: FrameType | None) -> dict[Tensor, dict[str, Tensor]]:
    """Tensors that lie beside parameters in the code that a script runs, each as large as its parameter.

    They are what a list, a tuple or a dictionary has for each parameter, under the name that it has: in a function, in
    a module, or in an object there (an optimizer of the script's own). Which is whose is told by the order of the
    parameters in another list or in a model, by their names there, or by the parameters themselves as keys.

    Args:
        params: the parameters.
        frame: where a script is.

    Returns:
        For each parameter of which anything is remembered the tensors, by name.
    """
    known = {id(param): param for param in params}
    if len(known) < 2:  # of a single one any tensor of its shape might be meant
        return {}
    spaces = list(_spaces(frame))
    orders = [[order for value in space.values() for order in _orders(value, known)] for space in spaces]
    found: dict[Tensor, dict[str, Tensor]] = {}
    for place, space in enumerate(spaces):
        nearest = [order for several in (orders[place], *orders) for order in several]
        for name, value in space.items():
            for param, each in _beside(value, nearest, known):
                for key, tensor in _named(name, each):
                    if _fits(tensor, param, known):
                        found.setdefault(param, {}).setdefault(key, tensor)
    return found


def _spaces(frame: FrameType | None) -> Iterator[Mapping[str, Any]]:
    """The names that are seen from a place in a script, and the attributes of the objects there."""
    seen: set[int] = set()
    for _ in range(FRAMES):
        while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in {"torch", "steadygrad"}:
            frame = frame.f_back
        if frame is None:
            return
        for space in (frame.f_locals, frame.f_globals):
            names = space if id(space) not in seen and len(space) <= MOST else {}
            seen.add(id(space))
            if names:
                yield dict(names)
            for value in list(names.values()):
                inner = getattr(value, "__dict__", None) if not isinstance(value, NO_OWNERS) else None
                if isinstance(inner, dict) and id(inner) not in seen and len(inner) <= MOST:
                    seen.add(id(inner))
                    yield dict(inner)
        frame = frame.f_back


def _orders(value: Any, known: Mapping[int, Tensor]) -> Iterator[dict[Any, Tensor]]:
    """All parameters in an order, by their places and by their names, if a value has them."""
    if isinstance(value, nn.Module):
        value = dict(value.named_parameters())
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or len(value) < len(known):
        return
    own = {key: each for key, each in value.items() if id(each) in known}
    if {id(each) for each in own.values()} == known.keys():
        yield own
        yield dict(enumerate(own.values()))


def _beside(
    value: Any, orders: Sequence[Mapping[Any, Tensor]], known: Mapping[int, Tensor]
) -> Iterator[tuple[Tensor, Any]]:
    """What a list or a dictionary has for each parameter: by the first order in which the shapes are right."""
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not value or len(value) > len(known):
        return
    own = [(known.get(id(key)) if isinstance(key, Tensor) else known.get(key), each) for key, each in value.items()]
    if all(param is not None for param, _ in own):
        yield from ((param, each) for param, each in own if param is not None)
        return
    for order in orders:
        if order.keys() == value.keys() and all(_is_like(each, order[key]) for key, each in value.items()):
            yield from ((order[key], each) for key, each in value.items())
            return


def _is_like(value: Any, param: Tensor) -> bool:
    return not isinstance(value, Tensor) or value.shape == param.shape


def _named(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of one parameter; those of a dictionary have names of their own."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict):
        yield from ((str(key), each) for key, each in value.items() if isinstance(each, Tensor))


def _fits(tensor: Tensor, param: Tensor, known: Mapping[int, Tensor]) -> bool:
    """Whether it may be a moment: no parameter, no gradient, nothing with a graph."""
    if id(tensor) in known or tensor.requires_grad or tensor is param.grad:
        return False
    return tensor.shape == param.shape and tensor.is_floating_point() and tensor.layout == param.layout
