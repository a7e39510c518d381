"""A check of an unmodified script: watched up to its first backward, measured there, and ended."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import _config
from .._i18n import say
from .._names import find_roots
from .live import Live
from .outcome import write_outcome


class ScriptCheck:
    """Lies in wait in a script's process.

    The first optimizer, or the first call of a module in training, starts the trace; the first backward ends the
    process, after everything was measured on the graph that is alive then. The process ends without Python's clean-up:
    a script that saves its model when it is stopped must not save an untrained one.

    Args:
        folder: where the outcome is left for `steadygrad check`.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._live = Live()
        self._optimizers: list[Optimizer] = []
        self._scaled: tuple[Tensor, Tensor] | None = None
        self._began = perf_counter()

    def install(self) -> None:
        """Start waiting."""
        # Attention's other kernels have no second derivative.
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        torch.backends.cuda.enable_cudnn_sdp(False)
        nn.modules.module.register_module_forward_pre_hook(self._live.enter)
        nn.modules.module.register_module_forward_hook(self._live.leave, always_call=True)
        self._watch_construction()
        self._watch_scaling()
        original = torch.autograd.backward

        @functools.wraps(original)
        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors), None)
            if self._scaled is not None and loss is self._scaled[0]:
                loss = self._scaled[1]
            if isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad:
                self._conclude(loss.reshape(()), original)
            return original(tensors, *args, **kwargs)

        torch.autograd.backward = backward

    def _watch_scaling(self) -> None:
        """What a scaler multiplies is not what the user's loss is: its first scale is meant to overflow."""
        original = torch.amp.GradScaler.scale

        @functools.wraps(original)
        def scale(scaler: Any, outputs: Any) -> Any:
            result = original(scaler, outputs)
            if isinstance(outputs, Tensor):
                self._scaled = result, outputs
            return result

        torch.amp.GradScaler.scale = scale  # type: ignore[method-assign]

    def _watch_construction(self) -> None:
        original = Optimizer.__init__
        made = self._optimizers

        @functools.wraps(original)
        def __init__(self: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            made.append(self)

        Optimizer.__init__ = __init__  # type: ignore[method-assign]

    def _conclude(self, loss: Tensor, backward: Callable[..., None]) -> None:
        torch.autograd.backward = backward
        status = 0
        try:
            optimizer = self._optimizer()
            params = [] if optimizer is None else [p for group in optimizer.param_groups for p in group["params"]]
            roots = self._live.roots or find_roots(params)
            name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else say("script")
            result = self._live.judge(loss, optimizer, roots, name, self._began)
            write_outcome(self._folder, result)
        except Exception as error:
            told = say("the check failed at the first backward: {error}", error=f"{type(error).__name__}: {error}")
            print(f"steadygrad: {told}", file=sys.stderr)
            status = 2
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    def _optimizer(self) -> Optimizer | None:
        """The one that trains most of what this backward is about."""
        owned = {id(param) for root in self._live.roots for param in root.parameters()}

        def share(optimizer: Optimizer) -> int:
            return sum(id(param) in owned for group in optimizer.param_groups for param in group["params"])

        return max(self._optimizers, key=share, default=None)


def start() -> None:
    """Lie in wait, if `steadygrad check` started this process."""
    config = _config.child_config()
    if config is not None:
        ScriptCheck(config.folder).install()
