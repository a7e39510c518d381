"""A clock for the watcher that runs only while its training does: what it paces goes by the time that passes."""

import sys
import time
from types import ModuleType
from typing import Any


class Clock:
    """The module `time` for steadygrad, with clocks that stand still while it does not watch."""

    def __init__(self) -> None:
        self._away = 0.0
        self._since: float | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def perf_counter(self) -> float:
        """Seconds of watching."""
        return (time.perf_counter() if self._since is None else self._since) - self._away

    monotonic = perf_counter

    def stop(self) -> None:
        """No more watching for now."""
        self._since = time.perf_counter()

    def go_on(self) -> None:
        """Watching again."""
        if self._since is not None:
            self._away += time.perf_counter() - self._since
            self._since = None

    def install(self) -> None:
        """Give it to every module of steadygrad that looks at a clock."""
        for name, module in list(sys.modules.items()):
            if name.startswith("steadygrad") and isinstance(module, ModuleType) and vars(module).get("time") is time:
                vars(module)["time"] = self
