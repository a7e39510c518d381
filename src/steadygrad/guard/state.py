"""One way for every part of the guard to say what it knows as plain data, and to go on from it."""

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

from .._robust import RobustWindow


class Stateful:
    """Keeps the attributes named in `KEPT`: numbers, text, lists, deques, windows, and parts that are `Stateful`."""

    KEPT: ClassVar[tuple[str, ...]] = ()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here, as numbers, text, lists and dictionaries."""
        return {name: _plain(getattr(self, name)) for name in self.KEPT}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; what an earlier version did not keep begins anew."""
        for name in self.KEPT:
            if name in state:
                setattr(self, name, _filled(getattr(self, name), state[name]))


def _plain(value: Any) -> Any:
    if isinstance(value, (Stateful, RobustWindow)):
        return value.state_dict()
    if isinstance(value, (list, tuple, deque)):
        return [_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _filled(now: Any, value: Any) -> Any:
    if isinstance(now, (Stateful, RobustWindow)):
        now.load_state_dict(value)
        return now
    return deque(value, maxlen=now.maxlen) if isinstance(now, deque) else copy.deepcopy(value)
