"""The gradients of one step as a policy sees them: measured once, scaled once, however many policies look at them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .. import _dist
from .._foreach import scale_, zero_
from .._readback import peek
from ..measure import each_norm, norm_vector, overflow_safe_norm, stacked, widest

Source: TypeAlias = nn.Module | Optimizer | Tensor | Iterable[Tensor] | Iterable[tuple[str, Tensor]]
"""Where gradients come from: a module, an optimizer, parameters, or pairs of names and parameters."""


class Gradients:
    """The gradients of some parameters: their norms, and scaling that waits until all policies have spoken.

    Norms are measured once and follow from the factors after that. Where reading a value would wait for the device
    nothing is read.

    Args:
        params: parameters; those without a gradient are passed over.
        names: their names, in the same order; places if None.
        optimizer: the optimizer whose state policies may read.
        inverse_scale: what the gradients must be multiplied by to be the loss' own (of a `GradScaler`), 0-d.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        names: Sequence[str] | None = None,
        *,
        optimizer: Optimizer | None = None,
        inverse_scale: Tensor | None = None,
    ) -> None:
        every = list(params)
        if not every:
            raise ValueError("there are no parameters, expected at least one")
        self.every = every
        self.names = names
        self.optimizer = optimizer
        self.places, self.params = list(range(len(every))), every
        self.inverse_scale = inverse_scale
        self._whole: list[Tensor] = [param.grad for param in every]  # type: ignore[misc]
        if type(None) in {*map(type, self._whole)}:  # far faster than to ask each of them
            self.places = [place for place, grad in enumerate(self._whole) if grad is not None]
            self.params = [every[place] for place in self.places]
            self._whole = [self._whole[place] for place in self.places]
        self.sharded = _dist.any_sharded(self._whole)
        if self.sharded:
            self._whole = [_settled_gradient(param) for param in self.params]
        self.grads = [_dist.local(grad) for grad in self._whole] if self.sharded else list(self._whole)
        self._norms: Tensor | None = None
        self._norm: Tensor | None = None
        self._factor: Tensor | None = None

    @classmethod
    def of(cls, source: "Source | Gradients", **options: Any) -> "Gradients":
        """The gradients of whatever holds parameters.

        Raises:
            ValueError: there are no parameters.
            TypeError: `source` holds something that is no tensor.
        """
        if isinstance(source, Gradients):
            return source
        if isinstance(source, Tensor):
            return cls([source], **options)
        if isinstance(source, nn.Module):
            named = list(source.named_parameters())
            return cls([param for _, param in named], [name for name, _ in named], **options)
        if isinstance(source, Optimizer):
            params = [param for group in source.param_groups for param in group["params"]]
            names = [name for group in source.param_groups for name in group.get("param_names", ())]
            return cls(params, names if len(names) == len(params) else None, optimizer=source, **options)
        things: list[Any] = list(source)
        names = None
        if things and type(things[0]) is tuple:
            names = [name for name, _ in things]
            things = [param for _, param in things]
        for kind in {*map(type, things)}:
            if not issubclass(kind, Tensor):
                raise TypeError(f"a parameter is a {kind.__name__}, expected a torch.Tensor")
        return cls(things, names, **options)

    @property
    def home(self) -> torch.device:
        """Where norms and factors live: the first gradient's device."""
        return self.grads[0].device if self.grads else self.every[0].device

    def name(self, place: int) -> str:
        """What people call the parameter at `place` of all parameters."""
        return self.names[place] if self.names is not None else f"parameters[{place}]"

    def norms(self) -> Tensor:
        """The L2 norm of each gradient as it is now, a vector on `home`: unscaled, waiting factors included.

        Infinite exactly where an element is not finite, wherever the CPU can look or the device has wide accumulators.
        """
        if self._norms is None:
            self._norms = self._measure()
        return self._norms

    def norm(self) -> Tensor:
        """The L2 norm of all gradients together, 0-d."""
        norm = self._norm
        if norm is None:
            norm = self._norm = torch.linalg.vector_norm(self.norms())
        return norm

    def p_norm(self, norm_type: float) -> Tensor:
        """The p-norm of all gradients together, 0-d; for p = 2 see `norm`."""
        if norm_type == 2.0:
            return self.norm()
        self.flush()
        if not self.grads:
            return torch.zeros((), device=self.home)
        return torch.linalg.vector_norm(self._unscaled(self._without_overflow(norm_type)), norm_type)

    def weight_norm(self) -> Tensor:
        """The L2 norm of all parameters together, 0-d, on `home`, alike on every rank."""
        norms = each_norm([_dist.local(param.detach()) for param in self.every])
        squares = [norm.to(widest(norm.device)).square() for norm in norms]
        return stacked(_dist.sum_over_shards(squares, self.every)).sum().sqrt().to(self.home)

    def scale_(self, factor: Tensor | float) -> None:
        """Multiply everything by a factor, 0-d; a factor that is not finite counts as 1. Waits for `flush`."""
        if not self.grads:
            return
        if not isinstance(factor, Tensor):
            if factor == 1.0 or not math.isfinite(factor):
                return
            factor = torch.full((), factor, dtype=widest(self.home), device=self.home)
        self._multiply(factor)

    def scale_each_(self, factors: Tensor) -> None:
        """Multiply each gradient by its element of a vector; what is not finite counts as 1. Waits for `flush`."""
        if self.grads:
            self._multiply(factors)

    def flush(self) -> None:
        """Carry out the factors that wait."""
        factor, self._factor = self._factor, None
        if factor is None:
            return
        values = peek(factor)
        with torch.no_grad():
            if values is None:
                _scale_on_device(self.grads, factor)
            elif len(values) == 1 and factor.ndim == 0:
                if values[0] != 1.0:
                    scale_(self.grads, values[0])
            else:
                chosen = [(grad, value) for grad, value in zip(self.grads, values, strict=True) if value != 1.0]
                for grad, value in chosen:
                    grad.mul_(value)

    def take_factor(self) -> Tensor | None:
        """Hand over a waiting factor that is the same for all, for somebody else to carry out; others are flushed."""
        if self._factor is not None and self._factor.ndim == 0:
            factor, self._factor = self._factor, None
            return factor
        self.flush()
        return None

    def edit(self) -> list[Tensor]:
        """This rank's values, unscaled, to be changed in place element by element; norms are measured anew after."""
        values = []
        for grad in self.edit_whole():
            own = _dist.local(grad)
            values.append(own if own.layout == torch.strided else own.values())
        return values

    def edit_whole(self) -> list[Tensor]:
        """The same as whole tensors: DTensors stay such, sparse ones have their duplicates summed."""
        self.flush()
        if self.inverse_scale is not None:
            _scale_on_device(self.grads, self.inverse_scale)
            self.inverse_scale = None
        for place, param in enumerate(self.params):
            grad = self._whole[place]
            if grad.layout == torch.sparse_coo and not grad.is_coalesced():
                param.grad = self._whole[place] = self.grads[place] = grad.coalesce()
        self._norms = self._norm = None
        return self._whole

    def zero_unless_(self, finite: Tensor) -> None:
        """Set everything to zero unless `finite`, 0-d."""
        if not self.grads:
            return
        values = peek(finite)
        with torch.no_grad():
            if values is not None:
                if not values[0]:
                    zero_(self.grads)
                    self._norms, self._norm = torch.zeros_like(self.norms()), None
                return
            for grad in self.grads:
                dense = grad if grad.layout == torch.strided else grad._values()
                dense.masked_fill_(finite.logical_not().to(dense.device), 0)
            self._norms, self._norm = torch.where(finite, self.norms(), 0.0), None

    def _multiply(self, factor: Tensor) -> None:
        norm = self.norm()
        known = peek(factor) if factor.ndim == 0 else None
        total = peek(norm)
        if known is None or total is None:
            factor = torch.where(torch.isfinite(factor) & torch.isfinite(norm), factor, 1.0)
        elif known[0] == 1.0 or not (math.isfinite(known[0]) and math.isfinite(total[0])):
            return
        self._factor = factor if self._factor is None else self._factor * factor
        self._norms = self.norms() * factor
        self._norm = norm * factor if factor.ndim == 0 else None

    def _measure(self) -> Tensor:
        self.flush()
        if not self.grads:
            return torch.zeros(1, dtype=widest(self.home), device=self.home)
        with torch.no_grad():
            return self._unscaled(self._without_overflow(2.0))

    def _without_overflow(self, norm_type: float) -> Tensor:
        if self.sharded:
            norms = each_norm(self.grads, norm_type)
            vector = self._over_shards(norms, norm_type)
        else:
            norms, vector = [], norm_vector(self.grads, norm_type)
        norm = torch.linalg.vector_norm(vector)
        total = peek(norm)
        if total is None or math.isfinite(total[0]):
            if norm_type == 2.0 and self.inverse_scale is None:
                self._norm = norm
            return vector
        # Every rank has seen the same vector, so all of them measure again, or none.
        values = peek(vector) or []
        norms = [
            norm if math.isfinite(value) else overflow_safe_norm(grad, norm_type)
            for norm, value, grad in zip(norms or vector.unbind(), values, self.grads, strict=True)
        ]
        return self._over_shards(norms, norm_type) if self.sharded else stacked(norms)

    def _over_shards(self, norms: Sequence[Tensor], norm_type: float) -> Tensor:
        if math.isinf(norm_type):
            raise ValueError(f"norm_type is {norm_type}, expected a finite one for sharded gradients")
        powers = [norm.to(widest(norm.device)) ** norm_type for norm in norms]
        return stacked(_dist.sum_over_shards(powers, self._whole)) ** (1.0 / norm_type)

    def _unscaled(self, norms: Tensor) -> Tensor:
        return norms if self.inverse_scale is None else norms * self.inverse_scale.to(norms.device)


def _settled_gradient(param: Tensor) -> Tensor:
    grad = cast(Tensor, param.grad)
    settled = _dist.settled(grad)
    if settled is not grad:
        param.grad = settled
    return settled


def _scale_on_device(grads: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply without reading the factor: one for all, or one each."""
    with torch.no_grad():
        if factor.ndim == 0:
            for device in {grad.device for grad in grads}:
                own = [grad for grad in grads if grad.device == device]
                dense = [grad for grad in own if grad.layout == torch.strided]
                here = factor.to(device)
                if dense:
                    torch._foreach_mul_(dense, here)
                for grad in own:
                    if grad.layout != torch.strided:
                        grad.mul_(here)
        else:
            for grad, own in zip(grads, factor.unbind(), strict=True):
                grad.mul_(own.to(grad.device))
