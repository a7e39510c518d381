"""A state that the script loads into its model: what was kept of the buffers before is no longer theirs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from .inert import InertHook


class LoadTap:
    """Calls back when a state has been loaded into one of some modules, or into a module that contains one.

    Args:
        roots: the modules.
        on_loaded: called after the load.
        on_error: receives errors of ours.
    """

    def __init__(
        self, roots: Sequence[nn.Module], on_loaded: Callable[[], None], on_error: Callable[[BaseException], None]
    ) -> None:
        self._on_loaded = on_loaded
        self._on_error = on_error
        self._handles = [
            root.register_load_state_dict_post_hook(InertHook(self._loaded))
            for root in roots
            if not isinstance(root, torch.jit.ScriptModule)
        ]

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _loaded(self, module: nn.Module, keys: Any) -> None:
        try:
            self._on_loaded()
        except Exception as error:
            self._on_error(error)
