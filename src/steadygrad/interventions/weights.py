"""Other initial weights: drawn, or rescaled, before the first pass."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .._tap import RescaleInit, params_of
from ..init import auto_, lsuv_
from .initial import Initial, batch_of
from .natural import is_natural, to_natural_size_
from .part import Part
from .pinned import unpin_
from .reparametrised import Reparametrisation, Scaled
from .taming import Fed, Tamed, tame_
from .tried import Tried
from .waking import wake_

THRESHOLD = 2.0
"""Mean size from which a vector on one side of zero keeps its units on, or off, whatever they get."""


class AutoInitialisation(Initial):
    """As the architecture asks for, else as each layer's own default is."""

    remedy = "auto-initialisation"

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Of weights that no module has, only the size can be known to be wrong."""
        self.times += to_natural_size_(optimizer, small=True)

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """See `init.auto_`; thresholds that keep units off are nobody's design where this is a remedy."""
        for name, param in module.named_parameters():
            if _is_threshold(name, param) and (read_tensor_scalar(param.abs().mean()) or 0.0) > THRESHOLD:
                param.zero_()
        try:
            auto_(module, batch_of(module, args, kwargs))
        except (ValueError, RuntimeError, TypeError):
            if not reset_(module):
                return False
        wake_(module, args, kwargs, self.where)
        return True


class Lsuv(Initial):
    """Each layer's output has unit variance on the first batch.

    Reference: Mishkin and Matas, "All you need is a good init", 2016.
    """

    remedy = "lsuv"

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """See `init.lsuv_`."""
        lsuv_(module, batch_of(module, args, kwargs))
        return True


class RandomInitialisation(Initial):
    """As each layer's own default is."""

    remedy = "random-initialisation"

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Draw it."""
        return reset_(module)


class RescaleInitialisation(Reparametrisation):
    """Layers that amplify are scaled down in the first pass, layer after layer.

    Before it, what pins a nonlinearity, and what a state that is carried on runs away with. Weights of a natural size
    do so because of a constant of the script, if there is one: those go on training in the size that they had.

    `steps` says over how many time steps a state is carried on; with 0 it is seen in the first step: a script that
    gives a module what the module has made carries one. Such a step is left out, and what it has shown is tamed.
    """

    remedy = "rescale-initialisation"

    def __init__(self, where: str = "", *, steps: int = 0, **options: Any) -> None:
        super().__init__(where, **options)
        self._steps = steps
        self._passes: list[RescaleInit] = []
        self._fed: dict[nn.Module, Fed] = {}
        self._stale: list[Tensor] = []

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Weights that no module has."""
        self.times += to_natural_size_(optimizer)

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Lie on the layers for this pass. What raises before that leaves nothing scaled."""
        with Tried() as tried:
            found = unpin_(module, args, kwargs, self.where)
            for part, factor in found:
                tried.scale(part, factor)
            tamed = tame_(module, args, kwargs, self.where, self._steps)
        for part, factor in found:
            self._scale(part, factor)
        if tamed is not None:
            self._tame(tamed)
        self._passes.append(RescaleInit([module], self._done, self._failed))
        if tamed is None and not self._steps:
            self._fed[module] = Fed(module, args, kwargs)

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Look whether it is given what it has made."""
        if module in self._fed:
            self._fed[module].called(args, kwargs)
        return args, kwargs

    def settle(self) -> None:
        """The first step's passes are over: what they have shown is carried on may run away."""
        fed, self._fed = self._fed, {}
        for each in fed.values():
            each.remove()
            if not each.times:
                continue
            try:
                tamed = tame_(each.module, each.args, each.kwargs, self.where, each.times)
            except (ValueError, RuntimeError, TypeError):
                continue  # it cannot be tried so
            if tamed is not None:
                self._tame(tamed)
                self._stale += tamed.part.tensors

    def before_step(self, optimizer: Optimizer) -> bool:
        """Gradients of weights that are others by now make no step."""
        self.settle()
        mine = {id(param) for param in params_of(optimizer)}
        is_stale = any(id(each) in mine for each in self._stale)
        self._stale = [each for each in self._stale if id(each) not in mine]
        return super().before_step(optimizer) or is_stale

    def end(self) -> None:
        """A pass that has never come to its end leaves nothing on them."""
        for each in self._passes:
            each.remove()
        self._passes.clear()
        for each in self._fed.values():
            each.remove()
        self._fed.clear()
        super().end()

    @torch.no_grad()
    def _scale(self, part: Part, scale: float, constant: bool = True) -> None:
        self.times += 1
        if constant and scale > 0.0 and is_natural(part.tensors):
            self.layers.append(Scaled(part, scale))
        else:
            for each, factor in zip(part.tensors, part.factors(scale), strict=True):
                each *= factor

    @torch.no_grad()
    def _tame(self, tamed: Tamed) -> None:
        if tamed.shift == 0.0:
            self._scale(tamed.part, tamed.scale, tamed.constant)
            return
        self.times += 1
        for each in tamed.part.tensors:
            each -= tamed.shift

    def _done(self, factors: dict[str, float]) -> None:
        self.times += len(factors)

    def _failed(self, error: BaseException) -> None:
        """A layer that cannot be measured stays as it is: this is within the script's own forward pass."""


class ZeroBias(Initial):
    """Every bias begins at zero, and so does every vector of thresholds: numbers that are all on one side of it."""

    remedy = "zero-bias"

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Those that were not."""
        changed = False
        for name, param in module.named_parameters():
            is_bias = "bias" in name.rpartition(".")[2]
            if (is_bias or _is_threshold(name, param)) and read_tensor_scalar(param.any()):
                param.zero_()
                changed = True
        if changed:
            wake_(module, args, kwargs, self.where)
        return changed


class ScaleDownTheHead(Initial):
    """The layer that makes the outputs begins with a tenth of its weights."""

    remedy = "scale-down-the-head"

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """The one that the finding names, else the last that has a weight."""
        layers = [
            (name, each)
            for name, each in module.named_modules()
            if isinstance(getattr(each, "weight", None), Tensor) and each.weight.ndim > 1  # pyright: ignore
        ]
        chosen = [each for name, each in layers if self.where and self.where.startswith(name) and name]
        for layer in (chosen or [each for _, each in layers])[-1:]:
            layer.weight.mul_(0.1)  # pyright: ignore
        return bool(layers)


def _is_threshold(name: str, param: Tensor) -> bool:
    """Whether a vector may be added to what units get; the gains of norms are called weights, and begin at one."""
    if param.squeeze().ndim != 1 or name.rpartition(".")[2] == "weight":
        return False
    one_sided = (param < 0).all() | ((param > 0).all() & (param != 1).all())
    return bool(read_tensor_scalar(one_sided))


def reset_(module: nn.Module) -> bool:
    """Let every layer draw its default weights; returns whether any could."""
    able = [each for each in module.modules() if callable(getattr(each, "reset_parameters", None))]
    for each in able:
        each.reset_parameters()  # pyright: ignore
    return bool(able)
