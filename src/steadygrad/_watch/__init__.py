"""The composition root: tap -> measure -> clip and guard -> readback -> sink. `watch` is the library's front door."""

from .process import Home, Watcher
from .watch import Watch, watch

__all__ = ["Home", "Watch", "Watcher", "watch"]
