"""Automatic mixed precision: undo the scaler's factor on the loss, and see the steps that the scaler leaves out.

An unfused optimizer is not called at all when the scaler has found an overflow, so no step hook fires.
"""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import TrainingDiverged
from .losses import LossTap
from .quiet import is_quiet


class ScalerTap:
    """Wraps `torch.amp.GradScaler.scale` and `.step`.

    Args:
        losses: is told the factor of the next loss.
        on_left_out: called with an optimizer whose step the scaler has left out because of an overflow.
        on_error: receives errors of ours.
    """

    def __init__(
        self,
        losses: LossTap,
        on_left_out: Callable[[Optimizer], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._losses = losses
        self._on_left_out = on_left_out
        self._on_error = on_error
        self._stepped: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._scaler: weakref.ref[Any] | None = None
        self._waiting = False
        self._originals: dict[str, Any] = {}
        self._wrappers: dict[str, Any] = {}

    @property
    def scaler(self) -> Any:
        """The gradient scaler that was used last, if it is alive."""
        return None if self._scaler is None else self._scaler()

    def multiplied(self) -> bool:
        """Whether gradients of a scaled loss lie there that nobody has divided yet."""
        scaler = self.scaler
        if scaler is None or not self._waiting:
            return False
        stages = [state["stage"] for state in getattr(scaler, "_per_optimizer_states", {}).values()]
        return not any(stage.name == "UNSCALED" for stage in stages)

    def stepped(self, optimizer: Optimizer) -> None:
        """An optimizer's step hook has fired."""
        self._stepped.add(optimizer)

    def install(self) -> None:
        """Start looking."""
        scaler_class = torch.amp.GradScaler
        original_scale, original_step = scaler_class.scale, scaler_class.step
        self._originals = {"scale": original_scale, "step": original_step}

        @functools.wraps(original_scale)
        def scale(scaler: Any, outputs: Any) -> Any:
            scaled = original_scale(scaler, outputs)
            if (
                self._originals
                and not is_quiet()
                and isinstance(getattr(scaler, "_scale", None), Tensor)
                and scaler.is_enabled()
            ):
                raw = outputs.detach() if isinstance(outputs, Tensor) else None
                self._losses.scaled = (scaled, raw, scaler._scale)
                self._scaler, self._waiting = weakref.ref(scaler), True
                if isinstance(outputs, Tensor) and self._losses.on_loss is not None:
                    self._losses.on_loss(outputs)
            return scaled

        @functools.wraps(original_step)
        def step(scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            self._stepped.clear()
            if scaler.is_enabled():
                self._scaler = weakref.ref(scaler)
            result = original_step(scaler, optimizer, *args, **kwargs)
            if self._originals and scaler.is_enabled():
                try:
                    inner = getattr(optimizer, "optimizer", optimizer)
                    if not any(each in (optimizer, inner) for each in self._stepped):
                        # A wrapper that is an optimizer itself is the one that is watched.
                        self._on_left_out(optimizer if isinstance(optimizer, Optimizer) else inner)
                except TrainingDiverged:
                    raise
                except Exception as error:
                    self._on_error(error)
            self._stepped.clear()
            self._waiting = False
            return result

        self._wrappers = {"scale": scale, "step": step}
        for name, wrapper in self._wrappers.items():
            setattr(scaler_class, name, wrapper)

    def remove(self) -> None:
        """Stop looking."""
        for name, original in self._originals.items():
            if getattr(torch.amp.GradScaler, name) is self._wrappers[name]:
                setattr(torch.amp.GradScaler, name, original)
        self._originals = {}
