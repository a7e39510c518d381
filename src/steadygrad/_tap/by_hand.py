"""Updates that a script makes itself (`p -= lr * p.grad`): seen from one backward pass to the next.

The update is the script's own line, which nobody can leave out. What can be changed is the gradient that it uses, at
the end of the backward pass: of none it makes no step, of a smaller one a smaller step. What is put back into the
weights is put back there too, when no pass needs them as they were.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor

from .._foreach import zero_
from .._readback import read_tensor_scalar
from ..errors import TrainingDiverged
from .own_moments import own_moments
from .own_updates import OwnUpdates, params_of
from .passes import PassTap
from .quiet import quiet

NODES = 50_000
"""Nodes of a graph that are looked through for its leaves."""

UPDATES = 2
"""Updates in a row, of the same leaves and by no optimizer, from which a script is known to make them itself."""

OTHERS = 8
"""Passes in a row that are none of a training's, from which it is over: a critic has some beside each of its rival."""

PLAIN = 1e-3
"""What is left of an update, against it, once a multiple of the gradient is taken away, where it is just that."""

COMPARED = 32
"""Numbers of each leaf by which an update is seen: a version is not counted for `p.data`."""


class ByHand(OwnUpdates):
    """Stands for the code of a script that updates its parameters itself, and is never stepped.

    Its rate is that of the script where it was seen that updates are a multiple of gradients, else 0. `first` are the
    weights that the script began with. `given` are gradients that `torch.autograd.grad` has returned, by the
    parameters' identities; None where they lie in the parameters. `piles` says that several backward passes make one
    update: then a gradient is not that of a step, and is left alone. `frame` is where the script is, while it is at a
    step: what it remembers of its parameters is looked for there, if anybody asks.
    """

    def __init__(self, params: Sequence[Tensor], first: Sequence[Tensor], rate: float, *, piles: bool = False) -> None:
        self.frame: FrameType | None = None
        super().__init__(params, lr=rate)
        self.first = first
        self.piles = piles
        self.given: dict[int, Tensor] | None = None

    @property
    def state(self) -> defaultdict[Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the script remembers of each parameter, as far as it is found: see `own_moments`."""
        if self.frame is not None:
            self._state = defaultdict(dict, own_moments(params_of(self), self.frame))
            self.frame = None
        return self._state

    @state.setter
    def state(self, state: defaultdict[Any, Any]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._state = state

    @property
    def plain(self) -> bool:
        """Whether nothing is known to be remembered from step to step but the weights."""
        return self.param_groups[0]["lr"] > 0

    def gradients(self) -> list[Tensor | None]:
        """That of each parameter in this pass."""
        return [param.grad if self.given is None else self.given.get(id(param)) for param in params_of(self)]

    def accumulated(self) -> list[tuple[int, int]]:
        """What tells whether anything was added to the gradients that lie in the parameters."""
        grads = [param.grad for param in params_of(self)]
        return [(id(grad), grad._version) for grad in grads if grad is not None]

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Within: the weights that the script began with. Nobody's version of them counts it."""
        params = params_of(self)
        now = [param.detach().clone() for param in params]
        try:
            _write(params, self.first)
            yield
        finally:
            _write(params, now)


class OwnStepObserver(Protocol):
    """Who is asked about such steps: as of an optimizer's, and what can be done later than there."""

    def before(self, optimizer: ByHand, closure_loss: Any, frame: FrameType | None, *, may_clip: bool) -> Any:
        """Gradients are there, the update is not made yet. Returns a plan that may say `lose`."""
        ...

    def after(self, optimizer: ByHand, *, lost: bool) -> None:
        """The update is over, made or lost."""
        ...

    def settle(self, optimizer: ByHand) -> bool:
        """No pass needs the weights now: carry out what was ordered. Returns whether they are others than before.

        May raise `TrainingDiverged`.
        """
        ...


class HandTap:
    """Sees steps where there is no optimizer: gradients after a backward pass, other weights before the next.

    A step is lost by taking its gradients away. One that a script makes from what it remembers itself (momentum) is
    lost but for that.

    Args:
        observer: is asked as by an optimizer's step.
        is_owned: whether an optimizer has any of these leaves.
        on_begin: is told the stand-in once it is known.
        passes: what tapes the passes; it does not look while we do.
        on_error: receives errors of ours.
    """

    def __init__(
        self,
        observer: OwnStepObserver,
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
        self._piles = False
        self._before: list[tuple[int, int]] = []
        self._stand_in: ByHand | None = None
        self._pending = False
        self._others = 0
        self._ended = False

    def entered(self, loss: Any) -> None:
        """A backward pass begins: what was updated until now was the step before."""
        if self._ended or not isinstance(loss, Tensor) or loss.numel() != 1:
            return
        try:
            if self._stand_in is not None:
                self._passes.pause()
                self.finish()
                self._before = self._stand_in.accumulated()
                if self._others < OTHERS:
                    return
                self._others = 0
            leaves = leaves_of(loss)
            if self._stand_in is not None:
                if not leaves or {*map(id, leaves)} & {*map(id, self._leaves)}:
                    return
                self._stand_in = None  # another model has taken its place: it is followed as the first one was
            if not leaves or self._is_owned(leaves):
                self._leaves, self._updates, self._piles = [], 0, False
                return
            if list(map(id, leaves)) != list(map(id, self._leaves)):
                self._leaves, self._updates, self._piles = leaves, 0, False
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
                self._stand_in = ByHand(self._leaves, self._weights, self._rate, piles=self._piles)
                self._on_begin(self._stand_in)
            if self._stand_in is None:
                self._values = self._copies(COMPARED)
                self._grads = [_first(leaf.grad if given is None else given.get(id(leaf))) for leaf in self._leaves]
                return
            self._judge(self._stand_in, frame, given)
        except TrainingDiverged:
            raise
        except Exception as error:
            self._on_error(error)

    def _judge(self, stand_in: ByHand, frame: FrameType | None, given: dict[int, Tensor] | None) -> None:
        stand_in.given = given
        grads = [grad for grad in stand_in.gradients() if grad is not None]
        if not grads or (given is None and stand_in.accumulated() == self._before):
            self._others += 1
            return  # by others: of another model that trains beside this one
        self._others = 0
        stand_in.frame = frame
        try:
            if self._observer.settle(stand_in):
                zero_(grads)  # of weights that are gone
            elif self._observer.before(stand_in, None, frame, may_clip=True).lose:
                zero_(grads)
                self._observer.after(stand_in, lost=True)
                self._observer.settle(stand_in)
            else:
                self._pending = True
        finally:
            stand_in.frame = None  # it holds all that is there
        self._passes.updates_follow(self._leaves)

    @property
    def follows(self) -> bool:
        """Whether leaves are followed that no optimizer has."""
        return bool(self._leaves) and not self._ended

    def finish(self) -> None:
        """The update that was seen last is over."""
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
            self._piles |= self._updates > 0
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
        if rest is not None and math.isfinite(rest):  # one that is not says nothing
            self._rate = rate if rest < PLAIN and rate > 0 else 0.0

    def _copies(self, most: int | None) -> list[Tensor]:
        with quiet(), torch.no_grad(), torch._C.DisableTorchFunction():
            if most is None:
                return [leaf.detach().clone() for leaf in self._leaves]
            return [leaf.detach().reshape(-1)[:most].clone() for leaf in self._leaves]


def _write(params: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with quiet(), torch.no_grad(), torch._C.DisableTorchFunction():
        for param, value in zip(params, values, strict=True):
            param.data.copy_(value)


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
