"""One watched optimizer: its parameters and their names, its guard, and what it needs to lose a step cleanly."""

import functools
import math
import operator
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from .. import _dist
from .._names import name_parameters
from .._readback import Mailbox, global_norm, read_step, read_tensor_scalar
from .._snapshot import BufferSnapshot, Room, TrainingParts
from .._tap import ByHand, CarriedState, LoadTap
from ..clip import Policy, RobustClip, direction_of, settle_scale, step_gradients
from ..guard import Guard, Measured, Raised, RunningStats, Stall, Undone
from ..measure import UpdateProbe, natural_norm, overflow_safe_norm, tensor_norms
from ..records import NO_GRADIENT, OptimizerInfo, TensorInfo
from ..rules.learning_rate import EARLY, REPLACED, of_drawn_weights
from .recovery import Recovery
from .sampler import Sampler

PROPORTIONAL = (torch.optim.SGD, torch.optim.ASGD)
"""Optimizers of torch whose update grows with the gradient."""

ALONG_FIRST = 16
"""First steps along which gradients are compared; after them those near an alarm, and one in `ALONG_EVERY`."""

ALONG_EVERY = 64

ALONG_KEPT = 16
"""Latest such comparisons that are kept."""

OUT_OF_SCALE = 1e3
"""Ratio of gradient to weights from which it is worth asking whether the first pass was sound."""

TOLD = 0.5
"""The part of a gradient's norm that weight matrices must have, or how far they go says little about it."""

NEXT_TO_NOTHING = 0.01
"""The part of a loss by which steps may change it that do no harm."""

UNCHANGED = 0.9
"""The share of weights that a step leaves as they were, from which it is one of nothing."""

PROPORTIONAL_SAMPLES = 3
"""Samples in which |dw| = lr |g| before an optimizer that torch does not ship counts as one of them."""


class Session:
    """What is known of one optimizer.

    Args:
        index: its place in order of first step.
        optimizer: the optimizer.
        frame: the innermost frame of the user's code, for names.
        find_roots: finds the modules that own parameters.
        early: the buffers' snapshot taken when the optimizer was made, and what keeps it true, if there are any.
        clip: the policy that scales gradients; None: the default one; False: none.
        alone: whether this is the only rank: several decide alike, by what is the same on all of them.
        room: the memory for snapshots.
        snapshot_every: steps between snapshots; None: by their cost.
        for_good: whether a lowered learning rate stays lowered, however quiet it is.
        say: tells people one line.
        on_cleared: called when a carried state was cleared.
        on_error: receives errors of ours.
    """

    def __init__(
        self,
        index: int,
        optimizer: Optimizer,
        frame: FrameType | None,
        *,
        find_roots: Callable[[Sequence[Tensor]], list[nn.Module]],
        early: tuple[BufferSnapshot, LoadTap] | None,
        clip: Policy | Literal[False] | None,
        alone: bool,
        room: Room,
        snapshot_every: int | None,
        for_good: bool,
        say: Callable[[str], None],
        on_cleared: Callable[[str], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self.index = index
        self.ref = weakref.ref(optimizer)
        self.alone = alone
        self.guard = Guard(clip if isinstance(clip, RobustClip) else None, use_loss=alone)
        # A policy of the user's own does the scaling; the guard's still tells what is unusual.
        self.policy = None if clip is False or isinstance(clip, RobustClip) else clip
        self.guard_scales = clip is None or isinstance(clip, RobustClip)
        self.recovery = Recovery(
            index, optimizer, self.guard, room=room, every=snapshot_every, alone=alone,
            holds=self.guard_scales, for_good=for_good, say=say,
        )  # fmt: skip
        self.stall = Stall()
        self.undone = Undone()
        self.step = 0
        self.last_where = ""
        self.resumed = steps_known(optimizer) > 0
        """Whether moments came with the optimizer: then somebody has trained these weights before."""
        self.rate_rises = False
        """Whether the rate is above that of the step before: a warm-up."""
        self._rate: float | None = None
        self._highest_rate = 0.0
        self.lost_in_a_row = 0
        self.left_out_in_a_row = 0
        self._agreeing = 0
        self._noise = False
        self._find_roots = find_roots
        self.by_hand = isinstance(optimizer, ByHand)
        self.observed = isinstance(optimizer, ByHand) and optimizer.piles
        """Whether nothing can be done to it: several backward passes make a step, and none is the last."""
        self._name_everything(optimizer, frame)
        self.buffers = BufferSnapshot(self.roots) if early is None else early[0]
        self.loads = LoadTap(self.roots, self.buffers.save, on_error) if early is None else early[1]
        self.running_stats = RunningStats(self.roots, _norms_and_smallest)
        self.carried = CarriedState(self.roots, on_cleared, on_error)

    def state_dict(self) -> dict[str, Any]:
        """What decides about coming steps, as plain data."""
        return {
            "step": self.step,
            "guard": self.guard.state_dict(),
            "recovery": self.recovery.state_dict(),
            "sampler": self.sampler.state_dict(),
            "agreeing": self._agreeing,
            "rates": [self._rate, self._highest_rate],
            "stall": self.stall.state_dict(),
            "undone": self.undone.state_dict(),
            "policy": None if self.policy is None else self.policy.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.step = int(state["step"])
        self.guard.load_state_dict(state["guard"])
        self.recovery.load_state_dict(state["recovery"])
        self.sampler.load_state_dict(state["sampler"])
        self._agreeing = int(state["agreeing"])
        self._rate, self._highest_rate = state.get("rates", (None, 0.0))  # an earlier version did not keep them
        self._noise = self.guard.clip.tails.noise
        self.stall.load_state_dict(state["stall"])
        self.undone.load_state_dict(state.get("undone", {}))
        if self.policy is not None and state["policy"] is not None:
            self.policy.load_state_dict(state["policy"])

    def refresh(self, optimizer: Optimizer, frame: FrameType | None) -> bool:
        """Look at the parameters again when they are others; returns whether they are."""
        now = [param for group in optimizer.param_groups for param in group["params"]]
        if len(now) == len(self.params) and all(map(operator.is_, now, self.params)):
            return False
        self._name_everything(optimizer, frame)
        self.recovery.ring.clear()
        return True

    @torch.no_grad()
    def measure(self, optimizer: Optimizer, losses: Sequence[Tensor], *, left_out: bool = False) -> "Reading":
        """Read everything about the step's gradients and losses to the host, in one transfer a device.

        A step may be `left_out` by a scaler that does not call the optimizer; of one that it calls `found_inf` says so.
        """
        by_hand = isinstance(optimizer, ByHand)
        every = optimizer.gradients() if by_hand else [param.grad for param in self.params]
        grads = [grad for grad in every if grad is not None]
        width = len(self.params)
        parts = [] if self.sharded else tensor_norms(grads)
        if len(grads) != width:
            places = [place for place, grad in enumerate(every) if grad is not None]
            parts = [([places[place] for place in inner], norms) for inner, norms in parts]
        scale, found = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
        scalars = [value.detach() for value in (*losses, scale, found) if isinstance(value, Tensor)]
        norms, numbers = read_step(parts, width, NO_GRADIENT, scalars)
        loss_values = numbers[: len(losses)]
        left_out = bool(numbers[-1]) if isinstance(found, Tensor) else left_out
        factor = numbers[len(losses)] if isinstance(scale, Tensor) else 1.0
        if not np.isfinite(norms).all() and not left_out:
            norms = self._without_overflow(norms, every)
        if factor != 1.0:
            norms = np.where(norms < 0, norms, norms / factor)
        return Reading(grads, norms, loss_values, left_out)

    def measured(
        self, optimizer: Optimizer, reading: "Reading", loss: float | None, lr: float | None, held: float = 1.0
    ) -> Measured:
        """What the guard is told of a step whose gradients are multiplied by `held` in any case."""
        norm = reading.norm
        reach = held * self._reach(optimizer, reading.norms) if math.isfinite(norm) else 0.0
        self.rate_rises = lr is not None and self._rate is not None and lr > self._rate
        self._rate, self._highest_rate = lr, max(self._highest_rate, lr or 0.0)
        return Measured(
            norm,
            loss,
            self.sampler.weight_norm,
            reach,
            self._last_moved(),
            lr,
            not self._proportional(optimizer),
            self._lasting(optimizer, reading) * reach if reach else 0.0,
            functools.partial(direction_of, reading.grads),
            held,
        )

    def noise_turned(self) -> str:
        """The name of the action, if with this step noise begins to be clipped or ceases to be."""
        before, self._noise = self._noise, self.guard.clip.tails.noise
        return "" if before == self._noise else "clip-noise" if self._noise else "end-clip-noise"

    def parts(
        self, optimizer: Optimizer, averages: Sequence[nn.Module], scaler: Any, stateful: Sequence[Any]
    ) -> TrainingParts:
        """What a snapshot of this training is about."""
        own = self.recovery.own_options()
        return TrainingParts(self.params, optimizer, self.roots, averages, scaler, stateful, own)

    def stalled(self, reading: "Reading", loss: float | None) -> tuple[Raised, ...]:
        """An alarm if the run has never learned and its gradients do not reach the weights."""
        norm = reading.norm
        self.stall.begin(loss, norm)
        due = self.stall.due(self.step)
        unreached = self.stall.look(self.guard.level, reading.norms, self._matrices) if due else []
        if self.stall.bottomless(self.guard.level, norm):
            self.stall.told()
            return (Raised("bottomless-loss", {"loss": loss, "first": self.stall.first}),)
        if not unreached:
            return ()
        tensors = [self.info.tensors[place].name for place in unreached[:5]]
        return (Raised("stalled", {"loss": loss, "best": self.guard.level.best, "unreached": tensors}),)

    def idle(self, least: float | None) -> bool:
        """Whether the loss does not fall, at one of the steps at which that is asked."""
        return self.stall.idle(self.guard.level) if least is None else self.stall.idle(self.guard.level, least=least)

    def flat(self) -> bool:
        """Whether the loss has not fallen since the early steps, at one of those steps, wherever it had begun."""
        return self.stall.flat(self.guard.level)

    def rests(self) -> bool:
        """Whether the loss has not fallen since half as many steps, at one of a few."""
        return self.stall.rests(self.guard.level)

    def rounds_away(self) -> bool:
        """Whether steps change next to no weight at all, at a rate that is neither rising nor next to nothing."""
        rate, highest = self._rate or 0.0, self._highest_rate
        return self.sampler.rounded_away > UNCHANGED and not self.rate_rises and rate >= highest / 2

    def cut_off(self, reading: "Reading") -> bool:
        """Whether, at one of a few steps, at least half of the weight matrices have a gradient of zeros."""
        return self.stall.cut_off(reading.norms, self._matrices)

    def replaced(self) -> bool:
        """Whether first steps like the very first one have moved most weights by more than their own size."""
        ratios = self.sampler.first_ratios
        known = np.zeros(0) if ratios is None else of_drawn_weights(ratios[self._matrices])
        return len(known) > 0 and REPLACED < EARLY * float(np.median(known)) < math.inf

    def idle_from_the_start(self) -> bool:
        """Whether the loss has not begun to fall, at one of the first steps at which that is asked."""
        return self.stall.idle_from_the_start(self.guard.level)

    def is_large(self, norm: float) -> bool:
        """Whether the gradient is thousands of times larger than the weights."""
        weights = self.sampler.weight_norm
        return weights > 0 and norm > OUT_OF_SCALE * max(1.0, weights)

    def out_of_scale(self, norm: float) -> bool:
        """Whether, at one of a few steps, it still is."""
        return self.is_large(norm) and self.stall.is_time_to_look() and not self.stall.falls(self.guard.level)

    def loud(self) -> bool:
        """Whether, at one of a few steps, the loss is that of no guess."""
        return self.stall.loud(self.guard.level)

    def above_start(self) -> bool:
        """Whether, at one of a few steps, the loss is far above where it began."""
        return self.stall.above_start(self.guard.level)

    def look_at_move(self) -> None:
        """After a made step: how far it has gone; known at the next step."""
        for ratio in self.probe.after():
            self._moves.post(ratio)

    def look_along(self) -> None:
        """Before a step, and before its gradients are scaled: how do they point along the step before?"""
        if self.sharded or self.by_hand:
            return
        keep = self.step < ALONG_FIRST or self.step % ALONG_EVERY == 0 or self.sampler.near_alarm(self.step)
        for dots in self.probe.along(keep=keep):
            self._dots.post(dots)
            self._dots_of.append(self.step - 1)
        arrived = [[self._dots_of.popleft(), *dots] for dots in self._dots.collect()]
        self.along = [*self.along, *arrived][-ALONG_KEPT:]

    def look_for_writes(self, loss: float | None) -> None:
        """Before a step that is made: has somebody written the weights since the last one?

        Steps by hand are made where nobody is told.
        """
        self._gaps += 1
        for far in self.probe.before():
            self._written.post(far)
            self._written_at.append(self._gaps)
        arrived = [(self._written_at.popleft(), values[0]) for values in self._written.collect()]
        written = {gap for gap, far in arrived if far > 0.0 and not self.by_hand}
        for gap in sorted(written):
            ago = self._gaps - gap
            parts = self.probe.taken_back(ago)
            read = map(read_tensor_scalar, parts if self.undone.matters(ago) else ())  # which waits for the device
            back = [part for part in read if part is not None and not math.isnan(part)]
            self.undone.written(min(back, default=0.0), ago=ago)
        if loss is not None and math.isfinite(loss):
            self.undone.push(loss)

    def forget_moves(self) -> None:
        """The weights were put back: what the last step did to them is no longer so."""
        self._moves, self._written = Mailbox(), Mailbox()
        self._written_at.clear()
        self.probe.forget()

    def _last_moved(self) -> float | None:
        arrived = [value for values in self._moves.collect() for value in values]
        return None if not arrived else max(arrived) if not any(map(math.isnan, arrived)) else math.nan

    @torch.no_grad()
    def clip_by_policy(self, optimizer: Optimizer, norm: float) -> float:
        """Let the user's own policy clip; returns by how much the global norm has changed."""
        assert self.policy is not None
        gradients = step_gradients(optimizer)
        clipped = self.policy.clip_(gradients)
        settle_scale(optimizer, gradients)
        self.policy.before_step(optimizer)
        after = read_tensor_scalar(clipped.clipped_norm)
        return 1.0 if not after or not norm else min(1.0, after / norm)

    def learn_proportionality(self, lr: float | None, moved_by: float, ratios: np.ndarray) -> None:
        """Compare |dw| of a sampled step with lr |g|: optimizers of third parties do not say what they are."""
        if self._agreeing >= PROPORTIONAL_SAMPLES or not lr or (ratios < 0).any():
            return
        with np.errstate(over="ignore", invalid="ignore"):
            moved = global_norm(ratios * np.maximum(self.sampler.param_norms, 0.0))
        expected = abs(lr) * moved_by
        agrees = expected > 0 and math.isfinite(moved) and abs(moved / expected - 1.0) < 0.01
        self._agreeing = self._agreeing + 1 if agrees else 0

    def _proportional(self, optimizer: Optimizer) -> bool:
        """Whether the update is known to grow with the gradient."""
        return isinstance(optimizer, PROPORTIONAL) or self._agreeing >= PROPORTIONAL_SAMPLES

    def _reach(self, optimizer: Optimizer, norms: np.ndarray) -> float:
        r"""The largest :math:`\eta \|g_i\| / \max(\|w_i\|, \sqrt{n_{out} / 3})` of any weight matrix.

        The root is the norm that torch's default initialisation gives a matrix: one that starts at zero may well move
        by more than itself. Biases, gains and thin matrices say nothing about how far a network is thrown.
        """
        if not self._proportional(optimizer) or len(self.sampler.param_norms) != len(norms):
            return 0.0
        reach = _rates(optimizer) * norms / np.maximum(self.sampler.param_norms, self._natural)
        return max(0.0, float(reach.max(initial=0.0)))

    def _lasting(self, optimizer: Optimizer, reading: "Reading") -> float:
        r"""How many times as far momentum carries a gradient; infinite where its reach does not tell how far it goes.

        It does not where most of the gradient is that of other tensors: the last layer of a forecast has one row. But
        if what all steps with it change the loss by, at a rate that the run bears, is next to nothing of it, they do no
        harm: to first order :math:`\eta \|g\|^2`, and no more than that for curvature below :math:`2 / \eta`.
        Of several ranks, which have to decide alike, no loss is known here.
        """
        told, carried = np.isfinite(self._natural) & (reading.norms >= 0), carried_on(optimizer)
        if global_norm(reading.norms[told]) >= TOLD * reading.norm:
            return carried
        level = self.guard.level.level()
        loss = self.stall.first if level is None else level
        with np.errstate(over="ignore"):
            change = carried * float(np.sum(_rates(optimizer) * np.maximum(reading.norms, 0.0) ** 2))
        return carried if loss is not None and change < NEXT_TO_NOTHING * abs(loss) else math.inf

    def nonfinite_names(self, norms: np.ndarray, most: int = 5) -> list[str]:
        """The names of tensors whose gradient norm is not finite."""
        return [self.info.tensors[place].name for place in np.flatnonzero(~np.isfinite(norms))[:most]]

    def _without_overflow(self, norms: np.ndarray, grads: Sequence[Tensor | None]) -> np.ndarray:
        """Finite gradients whose squares overflow are large, not infinite: measure those again in float64."""
        norms = norms.copy()
        for place in map(int, np.flatnonzero(np.isinf(norms))):
            grad = grads[place]
            if grad is not None:
                norms[place] = read_tensor_scalar(overflow_safe_norm(grad))
        return norms

    def _name_everything(self, optimizer: Optimizer, frame: FrameType | None) -> None:
        self.params: list[Tensor] = [param for group in optimizer.param_groups for param in group["params"]]
        self.sharded = any(_dist.is_sharded(param) for param in self.params)
        awkward = self.sharded or any(param.is_meta or is_lazy(param) for param in self.params)
        # Ranks must sample at the same steps: what the sample says decides, and they decide alike.
        self.sampler = Sampler(
            [] if awkward else self.params, by_clock=self.alone, decides=_may_be_proportional(optimizer)
        )
        self.probe = UpdateProbe([] if awkward else self.params)
        self._moves, self._dots = Mailbox(), Mailbox()
        self._dots_of: deque[int] = deque()
        self._written, self._written_at, self._gaps = Mailbox(), deque[int](), 0
        self.along: list[list[float]] = []
        self.roots = self._find_roots(self.params)
        names = name_parameters(self.params, self.roots, frame)
        tensors = tuple(
            TensorInfo(name, tuple(param.shape), str(param.dtype).removeprefix("torch."))
            for name, param in zip(names, self.params, strict=True)
        )
        self._natural = np.array([math.inf if awkward else natural_norm(param) for param in self.params])
        self._matrices = np.array([param.ndim > 1 for param in self.params], dtype=bool)
        self.names = names
        self.info = OptimizerInfo(self.index, type(optimizer).__name__, tensors)


def _rates(optimizer: Optimizer) -> np.ndarray:
    """The learning rate of each tensor, or the one of all of them."""
    rates = [abs(read_tensor_scalar(group.get("lr")) or 0.0) for group in optimizer.param_groups]
    return np.repeat(rates, [len(group["params"]) for group in optimizer.param_groups] if len(rates) > 1 else 1)


def steps_known(optimizer: Optimizer) -> float:
    """How many steps an optimizer's moments know of; infinite where they do not say."""
    return max(map(_steps_of, optimizer.state.values()), default=0.0)


def _steps_of(state: Any) -> float:
    """The same of one parameter: Adagrad keeps something of it before the first step."""
    if not isinstance(state, dict) or "step" not in state:
        return math.inf if state else 0.0
    return read_tensor_scalar(state["step"]) or 0.0


def carried_on(optimizer: Optimizer) -> float:
    r"""How far a gradient moves the weights in the end, over its first step: :math:`(1 - d) / (1 - \mu)`.

    Of the momentum :math:`\mu` and dampening :math:`d` of an SGD's groups the largest; 1 without.
    """
    most = 1.0
    for group in optimizer.param_groups:
        momentum, dampening = group.get("momentum") or 0.0, group.get("dampening") or 0.0
        if isinstance(momentum, float) and 0.0 < momentum < 1.0:
            most = max(most, (1.0 - dampening) / (1.0 - momentum))
    return most


def _may_be_proportional(optimizer: Optimizer) -> bool:
    """Whether the update grows with the gradient, as far as is known: torch says what its own optimizers are."""
    ours = type(optimizer).__module__.startswith("torch.optim")
    return isinstance(optimizer, PROPORTIONAL) or not ours


def _norms_and_smallest(tensors: Sequence[Tensor]) -> tuple[list[float], float]:
    smallest = torch.stack([tensor.amin() for tensor in tensors]).amin()
    norms, numbers = read_step(tensor_norms(tensors), len(tensors), 0.0, [smallest])
    return list(map(float, norms)), numbers[0]


class Reading:
    """What was read of one step: the gradients that exist, every tensor's norm (unscaled), losses, scaler's word."""

    __slots__ = ("grads", "left_out", "losses", "norm", "norms")

    def __init__(self, grads: list[Tensor], norms: np.ndarray, losses: list[float], left_out: bool) -> None:
        self.grads = grads
        self.norms = norms
        self.losses = losses
        self.left_out = left_out
        self.norm = global_norm(norms)

    def blob(self) -> bytes:
        """The norms as a recording keeps them."""
        with np.errstate(over="ignore"):
            return self.norms.astype(np.float32).tobytes()


def scalar_loss(value: Any) -> list[Tensor]:
    """The loss a closure returned, if it returned one."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        return [value.detach()]
    return []
