"""Updates that a script makes itself (`p -= lr * p.grad`): seen from one backward pass to the next, never changed."""

from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD

from .._readback import read_tensor_scalar
from .passes import PassTap
from .quiet import quiet
from .steps import StepObserver

NODES = 50_000
"""Nodes of a graph that are looked through for its leaves."""

UPDATES = 2
"""Updates in a row, of the same leaves and by no optimizer, from which a script is known to make them itself."""

PLAIN = 1e-3
"""What is left of an update, against it, once a multiple of the gradient is taken away, where it is just that."""

COMPARED = 32
"""Numbers of each leaf by which an update is seen: a version is not counted for `p.data`."""


class ByHand(SGD):
    """Stands for the code of a script that updates its parameters itself, and is never stepped.

    Its rate is that of the script where it was seen that updates are a multiple of gradients, else 0. `first` are the
    weights that the script began with. `given` are gradients that `torch.autograd.grad` has returned, by the
    parameters' identities; None where they lie in the parameters.
    """

    def __init__(self, params: Sequence[Tensor], first: Sequence[Tensor], rate: float) -> None:
        super().__init__(params, lr=rate)
        self.first = first
        self.given: dict[int, Tensor] | None = None


class HandTap:
    """Sees steps where there is no optimizer: gradients after a backward pass, other weights before the next.

    What comes of it is observed and not protected: a step that nobody can leave out cannot be skipped.

    Args:
        observer: is asked as by an optimizer's step, and its answer is not carried out.
        is_owned: whether an optimizer has any of these leaves.
        on_begin: is told the stand-in once it is known.
        passes: what tapes the passes; it does not look while we do.
        on_error: receives errors of ours.
    """

    def __init__(
        self,
        observer: StepObserver,
        is_owned: Callable[[Sequence[Tensor]], bool],
        on_begin: Callable[[ByHand], None],
        passes: PassTap,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._observer = observer
        self._is_owned = is_owned
        self._on_begin = on_begin
        self._passes = passes
        self._on_error = on_error
        self._leaves: list[Tensor] = []
        self._values: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._grads: list[Tensor | None] = []
        self._rate = 0.0
        self._updates = 0
        self._stand_in: ByHand | None = None
        self._pending = False
        self._ended = False

    def entered(self, loss: Any) -> None:
        """A backward pass begins: what was updated until now was the step before."""
        if self._ended or not isinstance(loss, Tensor) or loss.numel() != 1:
            return
        try:
            if self._stand_in is not None:
                self._passes.pause()
                self.finish()
                return
            leaves = leaves_of(loss)
            if not leaves or self._is_owned(leaves):
                self._leaves, self._updates = [], 0
                return
            if list(map(id, leaves)) != list(map(id, self._leaves)):
                self._leaves, self._updates = leaves, 0
                self._weights = self._copies(None)
            elif self._values:
                self._compare(self._copies(COMPARED))
        except Exception as error:
            self._on_error(error)

    def left(self, frame: FrameType | None, given: dict[int, Tensor] | None = None) -> None:
        """A backward pass is over: gradients are there, or were `given` to the script."""
        if self._ended or not self._leaves:
            return
        try:
            if self._stand_in is None and self._updates >= UPDATES:
                self._stand_in = ByHand(self._leaves, self._weights, self._rate)
                self._on_begin(self._stand_in)
            if self._stand_in is None:
                self._values = self._copies(COMPARED)
                self._grads = [_first(leaf.grad if given is None else given.get(id(leaf))) for leaf in self._leaves]
                return
            self._pending = True
            self._stand_in.given = given
            self._observer.before(self._stand_in, None, frame, may_clip=False)
            self._passes.updates_follow(self._leaves)
        except Exception as error:
            self._on_error(error)

    @property
    def follows(self) -> bool:
        """Whether leaves are followed that no optimizer has."""
        return bool(self._leaves) and not self._ended

    def finish(self) -> None:
        """The step that was seen last is over."""
        if self._pending and self._stand_in is not None:
            self._pending = False
            self._observer.after(self._stand_in, lost=False)

    def end(self) -> None:
        """See nothing more, and hold nothing."""
        self._ended = True
        self._stand_in = None
        self._leaves.clear()
        self._values.clear()
        self._weights.clear()

    def _compare(self, now: list[Tensor]) -> None:
        """What a script has done between two backward passes: nothing, or an update, and at which rate."""
        if all(torch.equal(before, after) for before, after in zip(self._values, now, strict=True)):
            return
        self._updates += 1
        pairs = [
            ((before - after).double(), grad.double())
            for before, after, grad in zip(self._values, now, self._grads, strict=True)
            if grad is not None
        ]
        if not pairs:
            return
        moved, grads = (torch.cat(each) for each in zip(*pairs, strict=True))
        rate = read_tensor_scalar(moved @ grads / (grads @ grads)) or 0.0
        rest = read_tensor_scalar((moved - rate * grads).norm() / moved.norm())
        self._rate = rate if rest is not None and rest < PLAIN and rate > 0 else 0.0

    def _copies(self, most: int | None) -> list[Tensor]:
        with quiet(), torch.no_grad(), torch._C.DisableTorchFunction():
            if most is None:
                return [leaf.detach().clone() for leaf in self._leaves]
            return [leaf.detach().reshape(-1)[:most].clone() for leaf in self._leaves]


def _first(grad: Tensor | None) -> Tensor | None:
    if grad is None or grad.layout is not torch.strided:
        return None
    with quiet(), torch.no_grad(), torch._C.DisableTorchFunction():
        return grad.detach().reshape(-1)[:COMPARED].clone()


def leaves_of(loss: Tensor) -> list[Tensor]:
    """The leaves that a loss's gradient reaches, in the order in which they are found; none of a graph too large."""
    waiting, seen = [loss.grad_fn], set()
    found: list[Tensor] = []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if len(seen) > NODES:
            return []
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor):
            found.append(leaf)
        waiting += [before for before, _ in node.next_functions]
    return found
