"""What is kept of one training for the day on which it goes wrong, and how to look at weights of before."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from .._clock import own_seconds
from .._readback import read_tensor_scalar
from .._tap import TapedPass, leaves_of
from . import symptoms
from .session import Reading, Session

MOST = 4
"""Examinations of one training; the first step that is not finite is examined beside them."""

LOOKED_AT_LEAST, LOOKED_SHARE = 10.0, 0.05
"""Seconds, and the part of the training's time, that those without an alarm may have taken when one more begins."""

APART = 64
"""Steps between two, but for a first alarm of what is not finite."""

ARMED = 16
"""Passes that are taped after an alarm, whatever that costs."""

SAME = 1e-3
"""The part of itself by which the norm of gradients that are cut to a limit differs from step to step."""

WHOLE = 0.02
"""By how much what lay there may differ from the last gradient."""

MOST_COMPARED = 6
"""Comparisons with weights of before in one training, each at twice the distance of the one before it."""

MOST_BUFFERS = 1 << 20
"""Numbers in buffers of which copies are kept."""

CARRIED = 8
"""Latest numbers of what lay there that are kept."""


class Kept:
    """What is kept of one optimizer's training."""

    def __init__(self, largest: list[Tensor]) -> None:
        self._largest = largest
        self._entries: list[tuple[Tensor | None, dict[int, int]]] = []
        self._width = 0
        self._places: list[int] = []
        self._are_leaves = False
        self.piled = 0
        self.piled_told = False
        self._fresh = True
        self._norm_before: float | None = None
        self.last_norm = math.inf
        self.same_norms = 0
        """Steps in a row whose gradients had the norm of those before them."""
        self.first: list[TapedPass] = []
        self.weights: list[Tensor] | None = None
        self.rates: list[Any] = []
        self.buffers: list[tuple[Tensor, Tensor]] = []
        self.own_first = True
        self.lines: dict[str, tuple[str, int] | None] = {}
        self.start_examined = self.start_asked = False
        self.missed = ARMED
        self.looks = 0
        self.same_before = False
        """Whether the model said the same of all samples when that was asked before."""
        self.cleared: set[Callable[..., Any]] = set()
        self._looked_for = 0.0
        self._began = own_seconds()
        self.sound: list[TapedPass] = []
        self.candidate: list[TapedPass] = []
        self.candidate_step = 0
        self.suspects: dict[int, tuple[Sequence[TapedPass], Sequence[TapedPass]]] = {}
        self.step = 0
        self.backwards = 0
        self.carried: list[float] = []
        self.alarmed_at = -ARMED
        self._examined = 0
        self._last = -APART
        self._bad_seen = False
        self._compared = self._compare_from = 0

    def fits(self, session: Session) -> bool:
        """Whether the first weights are kept, and are still those of all parameters: groups may have been added."""
        return self.weights is not None and len(self.weights) == len(session.params)

    @property
    def is_calm(self) -> bool:
        """Whether nothing has been worth a look yet."""
        return not self._examined

    @property
    def is_watched(self) -> bool:
        """Whether every backward pass is looked at: gradients lie there and nobody has been told, or an alarm is not
        long ago."""
        return (self.piled > 0 and not self.piled_told) or self.step - self.alarmed_at <= ARMED

    def due(self, step: int, bad: bool) -> bool:
        return (self._examined < MOST and step - self._last >= APART) or (bad and not self._bad_seen)

    def may_compare(self, step: int) -> bool:
        """Whether weights of before may be compared with those of now, once more."""
        if self._compared == MOST_COMPARED or step < self._compare_from:
            return False
        self._compared += 1
        self._compare_from = step + APART * 2 ** (self._compared - 1)
        return True

    def may_look(self) -> bool:
        """Whether one more look may be taken at a training that raises no alarm: a few, and not too long ones."""
        if self.looks == MOST or not self.has_time_to_look():
            return False
        self.looks += 1
        return True

    def has_time_to_look(self) -> bool:
        """Whether looks have not taken too long already."""
        allowed = max(LOOKED_AT_LEAST, LOOKED_SHARE * (own_seconds() - self._began))
        return self._looked_for <= allowed

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Count the time of a look."""
        began = own_seconds()
        try:
            yield
        finally:
            self._looked_for += own_seconds() - began

    def looked_at(self, step: int, bad: bool) -> None:
        self._examined += 1
        self._last = step
        self._bad_seen = self._bad_seen or bad

    def look(self, loss: Tensor, wanted: bool) -> None:
        """A backward pass begins: do gradients lie there already, of weights that it will add to?"""
        self.backwards += 1
        if wanted and self.step and not self._are_leaves:  # another training's loss may come by first
            reached = set(map(id, leaves_of(loss)))
            self._are_leaves = any(id(param) in reached for param in self._largest)
        wanted = wanted and self._are_leaves
        # At every one of a step's: where two trainings alternate, another's pass goes by before gradients are cleared.
        if wanted and self.step:
            there = {id(param.grad): param.grad._version for param in self._largest if param.grad is not None}
            self._entries.append((symptoms.grads_lying_there(self._largest), there))
        if self._fresh:
            self.backwards, self._fresh = 1, False

    def over(self, params: Sequence[Tensor], reading: Reading, coefficient: float) -> None:
        """A step is over: compare what lay there with the gradients of the step before it."""
        if len(params) != self._width:
            self._width, wanted = len(params), {id(param) for param in self._largest}
            self._places = [place for place, param in enumerate(params) if id(param) in wanted]
        own = [norm for place in self._places if (norm := reading.norms[place]) >= 0]
        if self._entries and self._norm_before:
            lay = min(self._added_to(norm, there) for norm, there in self._entries)
            self.carried = [*self.carried, lay / self._norm_before][-CARRIED:]
            self.piled = self.piled + 1 if abs(self.carried[-1] - 1.0) < WHOLE else 0
        same = abs(reading.norm - self.last_norm) <= SAME * reading.norm
        self.same_norms = self.same_norms + 1 if same else 0
        self.last_norm = reading.norm
        self._norm_before = coefficient * math.sqrt(sum(float(norm) ** 2 for norm in own)) or None
        self._entries = []
        self._fresh = True
        self.step += 1

    def _added_to(self, norm: Tensor | None, there: dict[int, int]) -> float:
        """The norm of gradients that lay there, if the backward pass has added to those very tensors.

        A script that puts others in their place has nothing to clear.
        """
        now = {id(param.grad): param.grad._version for param in self._largest if param.grad is not None}
        added = all(now.get(each, -1) > version for each, version in there.items())
        return (read_tensor_scalar(norm) or 0.0) if norm is not None and added else 0.0


@contextmanager
def with_fresh_state(optimizer: Optimizer | None, rates: Sequence[Any]) -> Iterator[None]:
    """Inside, an optimizer has made no step, and has these rates."""
    if optimizer is None:
        yield
        return
    state, now = optimizer.state, [group.get("lr") for group in optimizer.param_groups]
    optimizer.state = defaultdict(dict)
    try:
        _set_rates(optimizer, rates)
        yield
    finally:
        optimizer.state = state
        _set_rates(optimizer, now)


def copies(roots: Sequence[nn.Module]) -> list[tuple[Tensor, Tensor]]:
    """Buffers with copies of what they hold; none if they are large."""
    buffers = [each for root in roots for each in root.buffers() if each.is_floating_point()]
    if sum(each.numel() for each in buffers) > MOST_BUFFERS:
        return []
    return [(each, each.detach().clone()) for each in buffers]


def _set_rates(optimizer: Optimizer, rates: Sequence[Any]) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=False):
        if "lr" in group:
            group["lr"] = rate
