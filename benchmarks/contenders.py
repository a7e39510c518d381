"""What run_overhead.py adds to a bare training: steadygrad, and what else people add to one.

Every tool is attached as its own readme says, with its default settings, and may write where it likes: the training
runs in a folder that is thrown away.
"""

import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

import steadygrad as sg


def _nothing(loss: Tensor) -> None:
    pass


def _no_report() -> tuple[float | None, int]:
    return None, 0


@dataclass(frozen=True)
class Attached:
    """A contender in one training: what its steps do beside those of a bare one.

    Attributes:
        optimizer: the one to step; a tool may have wrapped it.
        around: makes the context of forward and backward.
        before_step: is called with the loss between backward and the optimizer's step.
        after_step: is called with the loss after the optimizer's step.
        finish: ends the tool's work. Returns the seconds that it says it has spent (None if it does not say) and how
            often it has changed a step.
    """

    optimizer: Any
    around: Callable[[], AbstractContextManager] = nullcontext
    before_step: Callable[[Tensor], object] = _nothing
    after_step: Callable[[Tensor], object] = _nothing
    finish: Callable[[], tuple[float | None, int]] = _no_report


def _bare(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
    return Attached(optimizer)


def _steadygrad(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
    """Protect mode, with recording."""
    watch = sg.watch(model, optimizer, record="runs")

    def finish() -> tuple[float, int]:
        watch.close()
        assert watch.run is not None
        summary = sg.open_run(watch.run).summary()
        return summary["overhead"]["seconds"], sum(summary["action_counts"].values())

    return Attached(optimizer, finish=finish)


def _clip(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
    params = list(model.parameters())
    return Attached(optimizer, before_step=lambda loss: torch.nn.utils.clip_grad_norm_(params, 1.0))


def _anomaly(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
    warnings.filterwarnings("ignore", message="Anomaly Detection has been enabled")
    return Attached(optimizer, around=torch.autograd.detect_anomaly)


def _wandb(**options: int) -> Callable[[nn.Module, torch.optim.Optimizer], Attached]:
    """Gradient histograms by `wandb.watch`, and the loss of every step by `wandb.log`; offline."""

    def attach(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
        os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_ERROR_REPORTING="false")
        import wandb

        wandb.init(project="overhead")
        wandb.watch(model, log="gradients", **options)

        def finish() -> tuple[None, int]:
            wandb.finish()
            return None, 0

        return Attached(optimizer, after_step=lambda loss: wandb.log({"loss": loss.item()}), finish=finish)

    return attach


def _stabilityguard(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
    from stabilityguard import GuardedOptimizer

    guarded = GuardedOptimizer(optimizer, model, spike_threshold=10.0, nan_action="skip", log_every=50)
    return Attached(guarded, finish=lambda: (None, guarded.total_skips))


def _trainscope(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
    from trainscope import TrainScope
    from trainscope.core.config import TrainScopeConfig

    scope = TrainScope(model, optimizer, config=TrainScopeConfig()).attach()

    def finish() -> tuple[None, int]:
        scope.detach()
        return None, 0

    return Attached(optimizer, before_step=lambda loss: scope.step(loss.item()), finish=finish)


def _torchmortem(model: nn.Module, optimizer: torch.optim.Optimizer) -> Attached:
    from torchmortem import Autopsy

    autopsy = Autopsy(model, optimizer=optimizer)
    autopsy.attach()

    def finish() -> tuple[None, int]:
        autopsy.detach()
        return None, 0

    return Attached(optimizer, after_step=lambda loss: autopsy.step(loss=loss.item()), finish=finish)


@dataclass(frozen=True)
class Contender:
    """Something to add to a training: its name in the table, the package it needs, how it is attached."""

    name: str
    package: str | None
    attach: Callable[[nn.Module, torch.optim.Optimizer], Attached]

    def label(self) -> str | None:
        """The name with the package's version; None where the package is not installed."""
        if self.package is None:
            return self.name
        try:
            return f"{self.name} ({version(self.package)})"
        except PackageNotFoundError:
            return None


BARE = "bare"
STEADYGRAD = "steadygrad"

CONTENDERS = {
    BARE: Contender("nothing", None, _bare),
    STEADYGRAD: Contender("steadygrad", "steadygrad", _steadygrad),
    "clip": Contender("clip_grad_norm_", None, _clip),
    "anomaly": Contender("detect_anomaly", None, _anomaly),
    "wandb": Contender("wandb.watch", "wandb", _wandb()),
    "wandb-10": Contender("wandb.watch, log_freq=10", "wandb", _wandb(log_freq=10)),
    "stabilityguard": Contender("StabilityGuard", "stabilityguard", _stabilityguard),
    "trainscope": Contender("trainscope", "trainscope", _trainscope),
    "torchmortem": Contender("torchmortem", "torchmortem", _torchmortem),
}
PEERS = tuple(key for key in CONTENDERS if key != STEADYGRAD)
"""What is measured beside steadygrad; a bare training is among it."""
