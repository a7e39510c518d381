"""What a case of the book is: a model with its batch, loss and optimizer, and what a check of it must find."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

Problem = tuple[nn.Module, Any, Callable[..., Tensor] | None, Optimizer | None]
"""Model, batch, loss function (None: the model returns its loss), optimizer (None: not chosen yet)."""

KINDS = {
    "init-gain": "initialisation",
    "symmetric-init": "initialisation",
    "dead-units": "initialisation",
    "saturation": "initialisation",
    "attention-logits": "attention",
    "recurrent-gain": "recurrence",
    "vanishing-recurrent": "recurrence",
    "vanishing-depth": "depth",
    "learning-rate": "learning-rate",
    "input-scale": "data",
    "nonfinite-data": "data",
    "loss-scale": "loss",
    "unsafe-op": "loss",
    "half-overflow": "precision",
}
"""Every cause that the book plants, and what kind of fault that is."""


@dataclass(frozen=True)
class Case:
    """One training as it stands before its first step."""

    name: str
    make: Callable[[], Problem]
    """Seeds torch itself: every call makes the same."""
    causes: frozenset[str] = frozenset()
    """At least one of these must be found. Empty: the training is sound, and nothing may be found."""
    kind: str = "sound"
    where: str | None = None
    """Path of the module that the finding must name, or the beginning of its path."""
    mended: Callable[[], Problem] | None = None
    """The same training without the planted fault. It learns; a check need not find it perfect."""
    heavy: bool = False
    """Large: for timing."""


def sound(name: str, make: Callable[..., Problem], *, heavy: bool = False, **options: Any) -> Case:
    """A training with nothing wrong: `make(**options)`."""
    return Case(name, partial(make, **options), heavy=heavy)


def faulty(
    name: str,
    causes: str | tuple[str, ...],
    make: Callable[..., Problem],
    *,
    fault: dict[str, Any],
    where: str | None = None,
    **options: Any,
) -> Case:
    """A training with one planted fault: `make(**options, **fault)`, which `make(**options)` does not have.

    Of several causes any one is right: the same fault seen from two sides. The first names the kind.
    """
    causes = (causes,) if isinstance(causes, str) else causes
    return Case(
        name,
        partial(make, **{**options, **fault}),
        causes=frozenset(causes),
        kind=KINDS[causes[0]],
        where=where,
        mended=partial(make, **options),
    )


def loss_of(model: nn.Module, batch: Any, loss_fn: Callable[..., Tensor] | None) -> Tensor:
    """The loss, by the contract that all batches here keep.

    A loss function whose first parameter is called `model` gets the model and the batch. Otherwise a dict is passed
    as keywords, and its "labels" or "target" is what the output is compared with, if the model does not return its
    loss. The last item of a tuple is the target; the others are the model's inputs.
    """
    if loss_fn is not None and next(iter(inspect.signature(loss_fn).parameters)) == "model":
        return loss_fn(model, batch)
    if isinstance(batch, dict):
        output = model(**batch)
        if loss_fn is None:
            return output["loss"] if isinstance(output, dict) else output.loss
        return loss_fn(output, batch["labels"] if "labels" in batch else batch["target"])
    *inputs, target = batch
    assert loss_fn is not None
    return loss_fn(model(*inputs), target)
