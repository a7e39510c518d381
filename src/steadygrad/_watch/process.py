"""The watcher of one process: puts hooks in place, and hands what they see to whom it concerns.

Promise: an error in here detaches the watcher with one line, and the training goes on as if it had never been there.
"""

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from .._i18n import say
from .._tap import ByHand, ClipTap, HandTap, LossTap, Plan, ScalerTap, StepTap, is_quiet
from ..guard import Incident
from ..store import append_event
from .examiner import Examiner
from .journal import Home, Journal
from .mending import Mending
from .owners import Owners
from .settings import Settings
from .stepping import Stepping
from .trainings import Trainings
from .words import first_line


class Watcher:
    """Watches the optimizers of this process.

    Args:
        settings: how it is to hold its trainings.
        home: where records go.
        optimizers: the optimizers to watch; None: every one of the process.
        modules: where to look for the owners of the parameters; None: every module that is alive.
        others: optimizers that another watcher has, to be left alone.
        on_incident: called when an incident begins and when it ends.
        keep_batch: whether the samples of a batch that raises an alarm are kept with the run.
    """

    def __init__(
        self,
        settings: Settings,
        home: Home,
        *,
        optimizers: Sequence[Optimizer] | None = None,
        modules: Sequence[nn.Module] | None = None,
        others: "weakref.WeakSet[Optimizer] | None" = None,
        on_incident: Callable[[Incident], None] | None = None,
        keep_batch: bool = False,
    ) -> None:
        self._settings = settings
        self.acts = settings.acts
        self._home = home
        self._others = others
        self._chosen = None if optimizers is None else weakref.WeakSet(optimizers)
        self._on_incident = on_incident
        self._owners = Owners(modules, self.fail)
        self.losses = LossTap(self.fail)
        self._scaler = ScalerTap(self.losses, self._left_out, self.fail)
        self._clips = ClipTap(self._scaler, self.fail)
        self._steps = StepTap(self, self.fail)
        self._examiner = Examiner(
            self._clips,
            self._scaler,
            home.say,
            self._owners.roots,
            self.fail,
            (lambda *kept: self._journal.batch(*kept)) if keep_batch else None,
        )
        self.losses.on_loss = lambda loss: self._examiner.backward(loss, adds=self.losses.adds)
        self._hand: HandTap | None = None
        if optimizers is None:
            self._hand = HandTap(self, self._owners.are_owned, self._by_hand, self._examiner.passes, self.fail)
            self.losses.on_enter, self.losses.on_left = self._hand.entered, self._hand.left
            self.losses.follows_grad = self._follows_grad
        self.trainings = Trainings(
            settings,
            home,
            self._owners,
            self._examiner,
            self.losses,
            self._scaler,
            on_end=self.end,
            on_released=lambda key: self._stepping.released(key),
            on_error=self.fail,
        )
        self._mending = Mending(settings, home, self._clips, self.trainings.parts)
        self.dead = False
        self._begin()

    def _begin(self) -> None:
        """Begin: at first, and anew in a forked child, whose parent owns the recording."""
        self._pid = os.getpid()
        self._inherited = getattr(self, "_journal", None)  # kept, not closed: closing belongs to the parent
        self._journal = Journal(self._settings.mode, self._home)
        self._mending.begin(self._journal)
        self.trainings.begin(self._journal, self._mending)
        self._stepping = Stepping(
            self._settings,
            self._home,
            self._journal,
            self.trainings,
            self._mending,
            self._examiner,
            self.losses,
            on_incident=self._on_incident,
            on_diverged=self._diverged,
        )

    @property
    def recording(self) -> Path | None:
        """The run folder once something was recorded."""
        return self._journal.folder

    @property
    def spent(self) -> float:
        """Seconds that this process has spent in here until now."""
        return self._stepping.spent

    def install(self) -> None:
        """Put the hooks in place."""
        self.losses.install()
        if self._hand is not None:
            self.losses.install_grad()
        self._scaler.install()
        self._clips.install()
        self._steps.install()
        for optimizer in self._chosen or ():
            self._steps.adopt(optimizer)
            self.built(optimizer)

    def remove(self) -> None:
        """Take the hooks away and make the recording complete."""
        self.close()
        self.dead = True
        self._steps.remove()
        self._scaler.remove()
        self._clips.remove()
        self._mending.remove(self.trainings.optimizers())
        self.losses.remove()
        self._examiner.remove()
        self.trainings.let_go()

    def end(self) -> None:
        """The process ends: make the recording complete, and hold nothing that must be gone before the interpreter."""
        self.close()
        self.dead = True
        # A module holds its process group, and the threads of one that outlives the interpreter abort the process.
        self._examiner.remove()
        self.trainings.clear()
        self._owners.forget()
        self._stepping.clear()

    def close(self) -> None:
        """Make the recording complete."""
        try:
            if self._hand is not None:
                self._hand.finish()
                self._hand.end()
            if self._journal.recording:
                for session in self.trainings:
                    late = [replace(raised, late=raised.late + 1) for raised in session.guard.settle()]
                    self._journal.alarms(session, late, {})
                self._journal.overhead(self._stepping.spent)
                self._journal.close()
            for session in self.trainings:
                session.loads.remove()
            self._owners.remove()
        except Exception as error:
            self._journal.drop()
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Detach after an error of ours. Hooks stay where they are (one may be running) and do nothing from here on."""
        if not self.dead:
            self.dead = True
            for session in self.trainings:
                session.recovery.rate.restore()
            self._mending.stay(self.trainings.optimizers())
            self._home.say(
                say(
                    "an error inside steadygrad ({error}): it has let go of this run, training goes on unwatched",
                    error=first_line(error),
                )
            )
            if self._journal.folder is not None:
                append_event(self._journal.folder, "detached", error=first_line(error))
            self.close()

    def _diverged(self) -> None:
        """A training is to be stopped, and its script told so."""
        self.close()
        self.dead = True

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the trainings."""
        self.trainings.load_state_dict(state)
        chosen = list(self._chosen or ())
        if len(chosen) == 1 and self.trainings.were_repaired:
            self.trainings.session(chosen[0], None)  # some remedies have a part in the first backward pass already

    def built(self, optimizer: Optimizer) -> None:
        """An optimizer was made: keep the buffers of its modules, before the first forward pass touches them."""
        if self.dead:
            return
        params = [param for group in optimizer.param_groups for param in group["params"]]
        roots = self._owners.roots(params)
        self._owners.built(optimizer)
        self._examiner.built(optimizer, params, roots)
        if self.acts and not isinstance(optimizer, ByHand):
            self._owners.keep(optimizer, roots)

    def _follows_grad(self, leaves: Sequence[Tensor]) -> bool:
        """Whether `torch.autograd.grad` by these leaves is a training's: of an optimizer, or of the script's own."""
        return (self._hand is not None and self._hand.follows) or self._owners.are_owned(leaves)

    def _by_hand(self, stand_in: ByHand) -> None:
        """The script updates its weights itself."""
        if not self.acts:
            return
        if stand_in.piles:
            self._home.say(
                say(
                    "the script makes its updates itself, without an optimizer, of several backward passes: they are "
                    "watched, not protected"
                )
            )
        else:
            self._home.say(
                say("the script makes its updates itself, without an optimizer: their gradients are guarded")
            )

    # What `StepTap` asks.

    def wants(self, optimizer: Optimizer) -> bool:
        """Whether this optimizer is watched."""
        if self.dead or is_quiet() or (self._others is not None and optimizer in self._others):
            return False
        return self._chosen is None or optimizer in self._chosen

    def before(
        self,
        optimizer: Optimizer,
        closure_loss: Any,
        frame: FrameType | None,
        *,
        may_clip: bool,
        left_out: bool = False,
    ) -> Plan:
        """Gradients are there, the step is not made yet; `left_out`, and the scaler will not have it made."""
        if os.getpid() != self._pid:
            self._begin()
        if self._hand is not None and not isinstance(optimizer, ByHand):
            self._hand.end()
        if not left_out:
            self._scaler.stepped(optimizer)
        return self._stepping.before(optimizer, closure_loss, frame, may_clip=may_clip, left_out=left_out)

    def passed_by(self) -> None:
        """An optimizer that is not watched steps: the losses until now were its own."""
        self.losses.take()

    def undone(self, optimizer: Optimizer) -> None:
        """A step that had been judged sound failed half-way and was undone."""
        self._stepping.undone(optimizer)

    def after(self, optimizer: Optimizer, *, lost: bool) -> None:
        """The step is over."""
        self._stepping.after(optimizer, lost=lost)

    def settle(self, optimizer: Optimizer) -> bool:
        """No pass needs the weights: carry out what was ordered at a step by hand; returns whether they are others."""
        return self._stepping.settle(optimizer)

    def raised(self, optimizer: Optimizer) -> None:
        """The optimizer's own code has raised."""
        self._stepping.raised(optimizer)

    def _left_out(self, optimizer: Optimizer) -> None:
        """The scaler has not called the optimizer: a step without a hook, and a step all the same."""
        if self.dead or not self.wants(optimizer):
            self.losses.take()
            return
        self.before(optimizer, None, None, may_clip=False, left_out=True)
        self.after(optimizer, lost=False)
