"""The composition root: tap -> measure -> clip and guard -> readback -> sink. `watch` is the library's front door."""

from .journal import Home
from .process import Watcher
from .settings import Settings
from .watch import Watch, watch

__all__ = ["Home", "Settings", "Watch", "Watcher", "watch"]
