"""What every policy is: something that scales gradients in place, with a state that can be saved."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from .gradients import Gradients, Source


@dataclass(frozen=True, slots=True)
class Clipped:
    """What a policy has done to a step's gradients, as 0-d tensors on the device.

    `grad_norm` is the global L2 norm before, `clipped_norm` after; `finite` is false when the gradients were not all
    finite. `snapshots` are those of a chain.
    """

    grad_norm: Tensor
    clipped_norm: Tensor
    finite: Tensor
    snapshots: Mapping[str, Any] = field(default_factory=dict)


class Policy(ABC):
    """Scales the gradients of a step, in place.

    Call it between `backward` and `step` with whatever holds the parameters, or let `attach` call it. A policy never
    raises a norm and never reads a value from an accelerator. A step whose gradients are not all finite is left as it
    is and teaches a policy nothing: leaving it out is the business of the guard (`steadygrad.watch`), of a gradient
    scaler or of the fold of `attach`; or say `nonfinite="zero"` where a policy takes it.
    """

    scope: ClassVar[str] = ""
    """What the policy decides about; a chain has one policy for each at the most."""

    nonfinite: Literal["keep", "zero"] = "keep"
    """What becomes of gradients that are not all finite."""

    needs_optimizer: ClassVar[bool] = False
    """Whether the policy reads the optimizer's state."""

    needs_step: ClassVar[bool] = False
    """Whether the policy acts after the step too, and so works through `attach` only."""

    def __call__(self, source: Source | Gradients) -> Clipped:
        """Clip the gradients of a module, an optimizer, or parameters.

        Args:
            source: a module, an optimizer, a parameter, or an iterable of parameters or of (name, parameter).

        Returns:
            The global norm before and after, on the device.

        Raises:
            ValueError: there are no parameters, or the policy needs what `source` does not have.
        """
        gradients = Gradients.of(source)
        if self.needs_step:
            raise ValueError(
                f"{type(self).__name__} acts after the step too: use steadygrad.clip.attach(policy, optimizer)"
            )
        return self.clip_(gradients)

    @torch.no_grad()
    def clip_(self, gradients: Gradients) -> Clipped:
        """Clip gradients that were collected already."""
        if self.needs_optimizer and gradients.optimizer is None:
            raise ValueError(
                f"{type(self).__name__} reads the optimizer's state: pass the optimizer, not its parameters"
            )
        before = gradients.norm()
        self.rescale_(gradients)
        gradients.flush()
        finite = before < math.inf  # one kernel, where isfinite takes four
        if self.nonfinite == "zero":
            gradients.zero_unless_(finite)
        return Clipped(before, gradients.norm(), finite, self.snapshots())

    @abstractmethod
    def rescale_(self, gradients: Gradients) -> None:
        """Decide, and scale or edit the gradients."""

    def before_step(self, optimizer: Optimizer) -> None:  # noqa: B027 - most policies have nothing to do
        """Just before the optimizer's step, after the gradients were clipped."""

    def after_step(self, optimizer: Optimizer) -> None:  # noqa: B027
        """Just after the optimizer's step."""

    def snapshots(self) -> dict[str, Any]:
        """What was measured on the way, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here; tensors and plain numbers."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Go on from a `state_dict`."""
