"""Other weights of recurrences: orthogonal, or the identity; and gates that remember."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._names import find_roots
from .._readback import read_tensor_scalar
from .._tap import params_of
from ..init import chrono_, orthogonal_recurrent_
from ..init.recurrent_weights import has_relu_state, recurrent_weights
from ..measure.forward_graph import forward_graph
from .gates import BETTER, arriving_level, open_gates_
from .initial import Initial, batch_of, name_within, unowned
from .taming import runs_away

GROWS = 1.2
"""Spectral norm above which the powers of a matrix are taken to grow."""

ALIKE = 0.9
"""The part of a matrix' largest singular value that its smallest is if it is a multiple of an orthogonal one."""


class OrthogonalRecurrentInit(Initial):
    """Recurrent weights are the orthogonal matrices nearest to them, gate by gate; those of hand-written cells too.

    Nothing is drawn: what was meant by a matrix, an identity say, stays. Where the state passes a ReLU and the weights
    were drawn at random, the identity is tried too, and taken if more of the gradient arrives early in a sequence: of
    what another matrix turns, a ReLU takes a half away at each step.

    Reference: Le et al., "A simple way to initialize recurrent networks of rectified linear units", 2015.
    """

    remedy = "orthogonal-recurrent-init"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._drawn: set[int] = set()
        """Where weights lie that were drawn at random before they were made orthogonal."""

    @torch.no_grad()
    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Square matrices that no module has, or that a finding names, and whose powers grow.

        A model that is never called itself, but by its parts and a method of its own, has no first call to wait for.
        """
        roots = find_roots(params_of(optimizer))
        named = [param for root in roots for name, param in root.named_parameters() if name == self.where]
        for param in [*unowned(optimizer), *named]:
            if param.ndim == 2 and param.shape[0] == param.shape[1]:
                size = read_tensor_scalar(torch.linalg.matrix_norm(param.detach().float(), 2))
                if size is None or not size <= GROWS:
                    if not _turns_alike(param.detach()):
                        self._drawn.add(param.data_ptr())
                    orthogonal_recurrent_(param, nearest=True)
                    self.times += 1

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """By the module, by its graph, or by the name that the finding has.

        Where the state runs away all the same, as one to which each step adds, they are no remedy and stay as they are.
        """
        batch = batch_of(module, args, kwargs)
        rectified = _of_relu_states(module, batch)
        drawn = [each for each in rectified if each.data_ptr() in self._drawn or not _turns_alike(each)]
        before = {name: each.detach().clone() for name, each in module.named_parameters() if each.ndim > 1}
        changed = self._made_orthogonal(module, batch)
        if runs_away(module, args, kwargs, changed):
            for name, each in module.named_parameters():
                if name in before:
                    each.copy_(before[name])
            return False
        _kept_by_identity(module, args, kwargs, drawn)
        return bool(changed)

    def _made_orthogonal(self, module: nn.Module, batch: Any) -> list[Tensor]:
        params = dict(module.named_parameters())
        for seen in (None, batch):
            try:
                record = orthogonal_recurrent_(module, batch=seen, nearest=True)
            except (ValueError, RuntimeError, TypeError):
                continue
            return [params[name].detach() for name in record.where("orthogonal") if name in params]
        named = list(self._named(module))
        for weight in named:
            orthogonal_recurrent_(weight, nearest=True)
        return named

    def _named(self, module: nn.Module) -> Iterator[Tensor]:
        where = name_within(module, self.where)
        for name, param in module.named_parameters():
            if where and param.ndim > 1 and (name == where or name.startswith(where + ".")):
                yield param.detach()


class ChronoInit(Initial):
    """Gates remember from one step to the whole sequence, and recurrent weights keep the gradient's size.

    Those of cells that are written by hand are found by trying.

    Reference: Tallec and Ollivier, "Can recurrent neural networks warp time?", 2018.
    """

    remedy = "chrono-init"

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """See `init.chrono_`, and `open_gates_`."""
        lengths = [each.shape[1] for each in _tensors(batch_of(module, args, kwargs)) if each.ndim > 1]
        longest = max(3, *lengths, 3)
        try:
            chrono_(module, longest)
        except ValueError:
            return open_gates_(module, args, kwargs, longest) > 0
        return True


def _kept_by_identity(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], weights: list[Tensor]) -> None:
    """Make them the identity if more of the gradient arrives early in a sequence."""
    reached = arriving_level(module, args, kwargs) if weights else None
    if reached is None:
        return
    turned = [each.clone() for each in weights]
    for each in weights:
        nn.init.eye_(each)
    stays = arriving_level(module, args, kwargs)
    if stays is None or not stays > reached + BETTER:
        for each, value in zip(weights, turned, strict=True):
            each.copy_(value)


def _of_relu_states(module: nn.Module, batch: Any) -> list[Tensor]:
    """Square recurrent weights whose state passes a ReLU."""
    try:
        graph = forward_graph(module, batch)
    except (ValueError, RuntimeError, TypeError):
        return []
    params = dict(module.named_parameters())
    names = [name for name in recurrent_weights(graph) if has_relu_state(module, graph, name)]
    found = [params[name].detach() for name in names]
    return [weight for weight in found if weight.ndim == 2 and weight.shape[0] == weight.shape[1]]


def _turns_alike(weight: Tensor) -> bool:
    """Whether a matrix is a multiple of an orthogonal one: that was meant."""
    sizes = torch.linalg.svdvals(weight.float())
    return bool(read_tensor_scalar(sizes[-1] > ALIKE * sizes[0]))


def _tensors(batch: Any) -> list[Tensor]:
    several = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, (tuple, list)) else [batch]
    return [each for each in several if isinstance(each, Tensor)]
