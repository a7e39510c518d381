"""Layers that are trained as others: the optimizer makes its step on V and c, the model computes with W and b."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._foreach import scale_
from .._tap import OwnUpdates, params_of
from .intervention import Intervention
from .part import Part


class Layer:
    """Tensors that are functions of what is trained.

    Args:
        tensors: W, and b if there is one.
    """

    KEPT: ClassVar[tuple[str, ...]] = ()
    """The attributes that say which functions, numbers and tensors."""

    @classmethod
    def again(cls, tensors: Sequence[Tensor], kept: Mapping[str, Any]) -> "Layer":
        """The same of tensors that are W and b already, as after a restart."""
        layer = cls.__new__(cls)
        Layer.__init__(layer, tensors)
        for name in cls.KEPT:
            value = kept[name]
            setattr(layer, name, value.to(tensors[0].device) if isinstance(value, Tensor) else value)
        return layer

    def kept(self) -> dict[str, Any]:
        """What `again` needs."""
        return {name: getattr(self, name) for name in self.KEPT}

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        self._used: list[Tensor] = []
        self._trained: list[Tensor] = []

    def to_trained(self) -> None:
        """W and b become V and c, in place."""
        raise NotImplementedError

    def to_used(self) -> None:
        """V and c become W and b."""
        raise NotImplementedError

    def grads_to_trained(self) -> None:
        """Gradients of W and b become those of V and c."""
        raise NotImplementedError

    def grads_to_used(self) -> None:
        """Those of V and c become those of W and b."""
        raise NotImplementedError

    def grads_to_steps(self) -> None:
        """Those of V and c become what has to be subtracted from W and b, for V and c to go against their own."""
        raise NotImplementedError

    def prepare(self, optimizer: Optimizer) -> None:
        """A step is about to be made: what the optimizer has beside them is to be fit for V and c."""

    def over(self) -> None:
        """It is made."""

    def enter(self) -> None:
        """V and c are there, with their gradients."""
        self._used = [each.detach().clone() for each in self.tensors]
        self.to_trained()
        self._trained = [each.detach().clone() for each in self.tensors]
        self.grads_to_trained()

    def leave(self) -> None:
        """W and b are there again: to the last bit where no step was made."""
        # Compared on the device. A version tells nothing: many optimizers write to `.data`, and some write no change.
        same = torch.stack([(now == then).all() for now, then in zip(self.tensors, self._trained, strict=True)]).all()
        self.to_used()
        for tensor, used in zip(self.tensors, self._used, strict=True):
            tensor.copy_(torch.where(same, used, tensor))
        self._used, self._trained = [], []
        self.grads_to_used()  # as the script has them: it may go on accumulating


class Reparametrisation(Intervention):
    """Before a step weights and gradients become those of V and c, after it those of W and b.

    So any optimizer trains as if the model computed with V and c. Between steps the model holds W and b, and whoever
    uses it need not know. A step that is lost changes nothing, to the last bit. Where a script makes its updates itself
    the gradient is changed in its stead: for plain updates that is the same.
    """

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self.layers: list[Layer] = []
        self._inside: list[Layer] = []

    def outlives(self) -> "Intervention | None":
        """Moments are those of V and c: with gradients of W and b the next step would be one of another size."""
        layers, self.layers = self.layers, []
        inside, self._inside = self._inside, []
        return Kept(layers, inside, self.share) if layers else None

    @property
    def share(self) -> float:
        """By what gradients beside those layers are multiplied."""
        return 1.0

    def end(self) -> None:
        """Lie on them no more. What they compute stays."""
        self.step_aside()
        self.layers.clear()
        self._inside = []

    @torch.no_grad()
    def before_step(self, optimizer: Optimizer) -> bool:
        """The step is made on V and c."""
        if isinstance(optimizer, torch.optim.LBFGS) or self._inside:
            return False
        mine = {id(param) for param in params_of(optimizer)}
        layers = [each for each in self.layers if id(each.tensors[0]) in mine]
        self.times += len(layers)
        if isinstance(optimizer, OwnUpdates):
            for each in layers:
                each.grads_to_trained()
                each.grads_to_steps()
            return False
        for each in layers:
            each.prepare(optimizer)
        self._inside = layers
        self.step_back()
        return False

    @torch.no_grad()
    def step_aside(self) -> None:
        """They hold W and b while others look; of tensors that were entered twice the last is left first."""
        for each in reversed(self._inside):
            each.leave()

    @torch.no_grad()
    def step_back(self) -> None:
        """V and c again, for the step."""
        for each in self._inside:
            each.enter()

    def after_step(self, optimizer: Optimizer) -> None:
        """And W and b follow."""
        self.step_aside()
        for each in self._inside:
            each.over()
        self._inside = []


class Kept(Reparametrisation):
    """Layers that go on being trained as others when whoever has begun that is gone.

    Args:
        layers: they.
        inside: those of them that hold V and c at the moment.
        share: by what the gradients of everything beside them are multiplied.
    """

    def __init__(self, layers: Sequence[Layer], inside: Sequence[Layer] = (), share: float = 1.0) -> None:
        super().__init__()
        self.layers, self._inside, self._share = list(layers), list(inside), share

    @property
    def share(self) -> float:
        """By what gradients beside those layers are multiplied."""
        return self._share

    def before_step(self, optimizer: Optimizer) -> bool:
        """The step is made on V and c."""
        if self._share != 1.0 and not self._inside:
            scale_([param.grad for param in params_of(optimizer) if param.grad is not None], self._share)
        return super().before_step(optimizer)


class Scaled(Layer):
    r"""Weights of a natural size before a constant that is too large: :math:`W = s V`.

    Scaled down alone, W would be too small for the steps that an adaptive optimizer makes, and get a gradient that is
    too large from whatever multiplies it.

    Args:
        part: V as it is now, which :math:`s V` takes the place of.
        scale: :math:`s`.
    """

    KEPT = ("_scale", "_outputs", "_axis")

    def __init__(self, part: Part, scale: float) -> None:
        super().__init__(part.tensors)
        self._scale, self._outputs, self._axis = scale, part.outputs, part.axis
        self.to_used()

    def to_trained(self) -> None:
        """Divide by s."""
        for each, factor in zip(self.tensors, self._factors(), strict=True):
            each /= factor

    def to_used(self) -> None:
        """Multiply by s."""
        for each, factor in zip(self.tensors, self._factors(), strict=True):
            each *= factor

    def grads_to_trained(self) -> None:
        """Multiply by s."""
        self._multiply(self._factors())

    def grads_to_used(self) -> None:
        """Divide by s."""
        self._multiply([1.0 / factor for factor in self._factors()])

    def grads_to_steps(self) -> None:
        """Multiply by s."""
        self._multiply(self._factors())

    def _factors(self) -> list[float | Tensor]:
        return Part(self.tensors, self._outputs, self._axis).factors(self._scale)

    def _multiply(self, factors: Sequence[float | Tensor]) -> None:
        for each, factor in zip(self.tensors, factors, strict=True):
            if each.grad is not None:
                each.grad *= factor
