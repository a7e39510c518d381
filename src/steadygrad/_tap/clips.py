"""Clips of the user's own, seen where torch's functions for it are called."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..measure.source_line import source_line
from .quiet import is_quiet
from .scaler import ScalerTap

LIMITS = {"clip_grad_norm_": "max_norm", "clip_grad_value_": "clip_value"}
"""The functions, and what each calls its limit."""

MOST = 16
"""Lists of parameters that are remembered: a script that makes a model in each round clips as many."""


class ClipTap:
    """Wraps the clipping functions of `torch.nn.utils`.

    Args:
        scaler: knows whether gradients are still multiplied by a loss scale.
        on_error: receives errors of ours.

    Attributes:
        calls: how often gradients were clipped.
        scaled: how often while they were still multiplied.
        last: the limit and the line of the last clip.
        longest: how long all gradients together may be behind it, by the Euclidean norm.
        before: each is called with the parameters before each clip.
        after: each is called with them after it.
    """

    def __init__(self, scaler: ScalerTap, on_error: Callable[[BaseException], None]) -> None:
        self._scaler = scaler
        self._on_error = on_error
        self._originals: dict[str, Any] = {}
        self._wrappers: dict[str, Any] = {}
        self.calls = 0
        self.scaled = 0
        self.last: tuple[float, tuple[str, int] | None] | None = None
        self.longest = math.inf
        self._clipped: dict[tuple[int, int], tuple[float, frozenset[int]]] = {}
        self.before: list[Callable[[Sequence[Tensor]], None]] = []
        self.after: list[Callable[[Sequence[Tensor]], None]] = []

    def longest_of(self, params: Sequence[Tensor]) -> float:
        """How long the gradients of these may be behind the clip that they had, if all of them had the same one."""
        own = frozenset(map(id, params))
        return next((longest for longest, clipped in self._clipped.values() if own <= clipped), math.inf)

    def install(self) -> None:
        """Start looking."""
        for name in LIMITS:
            self._originals[name] = original = getattr(torch.nn.utils, name)
            self._wrappers[name] = wrapper = self._wrapped(original)
            setattr(torch.nn.utils, name, wrapper)

    def remove(self) -> None:
        """Stop looking."""
        for name, original in self._originals.items():
            if getattr(torch.nn.utils, name) is self._wrappers[name]:
                setattr(torch.nn.utils, name, original)
        self._originals = {}

    def _wrapped(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def clip(parameters: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(parameters, Tensor):
                parameters = list(parameters)  # it may be a generator, and is read twice
            if not self._originals or is_quiet() or torch.compiler.is_compiling():
                return original(parameters, *args, **kwargs)
            clipped = [parameters] if isinstance(parameters, Tensor) else parameters
            try:
                for each in list(self.before):
                    each(clipped)
                limit = args[0] if args else kwargs.get(LIMITS[original.__name__])
                self._see(limit, clipped, by_norm=original.__name__ == "clip_grad_norm_")
            except Exception as error:
                self._on_error(error)
            try:
                return original(parameters, *args, **kwargs)
            finally:
                for each in list(self.after):
                    each(clipped)

        return clip

    def _see(self, limit: Any, clipped: Sequence[Tensor], *, by_norm: bool) -> None:
        """A clip of some parameters to a limit, of their norm or of each number."""
        self.calls += 1
        self.scaled += self._scaler.multiplied()
        if isinstance(limit, (int, float)):
            self.last = float(limit), source_line()
            self.longest = limit if by_norm else limit * math.sqrt(sum(map(Tensor.numel, clipped)))
            if clipped and by_norm:
                key = id(clipped[0]), len(clipped)  # a step's list is that of the step before: its numbers are known
                known = self._clipped.get(key)
                if known is None and len(self._clipped) == MOST:
                    self._clipped.clear()
                self._clipped[key] = self.longest, frozenset(map(id, clipped)) if known is None else known[1]
