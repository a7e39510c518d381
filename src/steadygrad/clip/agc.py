"""Adaptive gradient clipping: each unit's gradient against that unit's weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

import torch
from torch import Tensor

from .. import _dist
from .._readback import peek
from ..measure import unit_norms
from .arguments import positive
from .gradients import Gradients
from .policy import Policy


class AGC(Policy):
    r"""Scale the gradient of each unit (a row, a filter, a whole vector) to a share of the norm of its weights.

    .. math:: G_i \leftarrow G_i \cdot \min\left(1, \lambda \frac{\max(\|W_i\|, \epsilon)}{\|G_i\|}\right)

    :math:`\epsilon` lets weights that start at zero train. The paper's :math:`\lambda = 0.01` belongs to SGD with
    batches of 4096; smaller batches want more. It strangles transformers trained with Adam, and means nothing under
    optimizers that take the sign of the gradient (Lion).

    Args:
        clipping: :math:`\lambda`, the largest gradient relative to the weights.
        eps: :math:`\epsilon`, the least norm of weights that counts.
        exclude: names of parameters (`*` stands for anything) or parameters that are left alone; "head", the default,
            means the last layer: the last weight of two or more dimensions and what follows it. `()` excludes nothing.

    Raises:
        ValueError: `clipping` or `eps` is not positive.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        >>> weight.grad = torch.ones(2, 2)
        >>> result = AGC(0.1, exclude=())([weight])
        >>> [round(norm, 6) for norm in weight.grad.norm(dim=1).tolist()]
        [0.5, 0.0001]

    References:
        Brock et al., "High-performance large-scale image recognition without normalization", 2021.
    """

    scope: ClassVar[str] = "unit norm"

    def __init__(
        self,
        clipping: float = 0.01,
        eps: float = 1e-3,
        exclude: Literal["head"] | Iterable[str | Tensor] = "head",
    ) -> None:
        self.clipping = positive("clipping", clipping)
        self.eps = positive("eps", eps)
        self.exclude: Literal["head"] | tuple[str | Tensor, ...] = "head" if exclude == "head" else tuple(exclude)

    def rescale_(self, gradients: Gradients) -> None:
        """Scale unit by unit."""
        finite = torch.isfinite(gradients.norm())
        wide = not all(map(_fits, peek(gradients.norms()) or ()))
        excluded = self._excluded(gradients)
        chosen = [at for at, place in enumerate(gradients.places) if place not in excluded]
        whole = gradients.edit_whole()
        units = [_units(gradients.params[at].detach(), whole[at], wide) for at in chosen]
        alike: dict[object, list[_Units]] = {}
        for unit in units:
            alike.setdefault(id(unit) if gradients.sharded else unit.norms.device, []).append(unit)
        for group in alike.values():
            self._scale(group, finite)

    def _scale(self, units: "list[_Units]", finite: Tensor) -> None:
        """Scale gradients whose norms are on one device: one comparison for all of their units."""
        norms, weights = (_flat([getattr(unit, name) for unit in units]) for name in ("norms", "weights"))
        limits = weights.clamp(min=self.eps) * self.clipping
        factors = torch.where(norms > _if_finite(limits, finite), limits / norms, 1.0)
        least = peek(_dist.local(factors).amin()) if factors.numel() else [1.0]
        if least is not None and least[0] == 1.0:
            return
        parts = [factors] if len(units) == 1 else factors.split([unit.norms.numel() for unit in units])
        for unit, part in zip(units, parts, strict=True):
            _dist.local(unit.grad).mul_(_dist.local(part.view(unit.norms.shape)))

    def _excluded(self, gradients: Gradients) -> set[int]:
        if self.exclude == "head":
            deep = [place for place, param in enumerate(gradients.every) if param.ndim >= 2]
            return set(range(deep[-1], len(gradients.every))) if len(deep) > 1 else set()
        ids = {id(each) for each in self.exclude if isinstance(each, Tensor)}
        patterns = [each for each in self.exclude if isinstance(each, str)]
        if patterns and gradients.names is None:
            raise ValueError(f"exclude is {patterns!r}, but the parameters have no names: pass the module")
        return {
            place
            for place, param in enumerate(gradients.every)
            if id(param) in ids or any(fnmatchcase(gradients.name(place), pattern) for pattern in patterns)
        }


@dataclass(frozen=True, slots=True)
class _Units:
    """A gradient, and the norms of its units and of those of its weights."""

    grad: Tensor
    norms: Tensor
    weights: Tensor


def _units(param: Tensor, grad: Tensor, wide: bool) -> _Units:
    if grad.layout == torch.sparse_coo:
        param = param.index_select(0, grad.indices()[0])
        grad = grad.values()
    return _Units(grad, unit_norms(grad.to(torch.float64) if wide else grad), unit_norms(param))


def _flat(norms: list[Tensor]) -> Tensor:
    return norms[0] if len(norms) == 1 else torch.cat([norm.reshape(-1) for norm in norms])


def _if_finite(limits: Tensor, finite: Tensor) -> Tensor:
    """The limits, or none at all for gradients that are not finite."""
    return torch.where(finite.to(_dist.local(limits).device), limits, torch.inf)


def _fits(norm: float) -> bool:
    """Whether the squares of a tensor's elements fit into float32."""
    return norm < 1e18
