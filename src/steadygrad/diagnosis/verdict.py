"""The verdict of a run: one word of `VERDICTS`, and the sentence that says why."""

import signal
from dataclasses import dataclass

import numpy as np

from .._i18n import language, later, say, say_count
from .._levels import RECENT, recovery
from .._recorded import again
from ..records import DRIFTS, Alarm
from ..store import ProcessRecording, Run
from ..store.reader import Steps
from .diagnose import diagnose

VERDICTS = {
    later("healthy"): later("no alarm was raised"),
    later("recovered"): later("there were alarms, and the run ended verified good"),
    later("unstable"): later("there were alarms, and the run did not come back"),
    later("stalled"): later("the run never learned"),
    later("stopped"): later("steadygrad stopped the run because nothing repaired it"),
    later("crashed"): later("the command failed or was killed"),
    later("unobserved"): later("no optimizer step was seen"),
}

EVENTS = (later("interrupted"), later("detached"))
"""What may end the watching of a process before the process ends."""

LEARNED = 0.5
"""The part of its first losses below which a run has learned, whatever was said of it before."""

LATE = 64
"""Losses at the end, a quarter of which lie below that."""

SKIPS = frozenset({"skip", "hold", "undo"})
"""Actions after which the weights are as before the step."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, and the step of the first alarm (None without one)."""

    verdict: str
    reason: str
    first_alarm_step: int | None


def judge(run: Run) -> Judgement:
    """Name the state of a recorded run.

    Args:
        run: a recorded run, ended or not.

    Returns:
        The verdict with its reason.
    """
    recording = run.main
    status = run.manifest.status
    if recording is None:
        if status:
            why = say("{crash}; no optimizer step was seen", crash=_why_crashed(run, status))
            return Judgement("crashed", why, None)
        return Judgement("unobserved", _why_unobserved(run), None)
    alarms = [alarm for each in run.recordings if each.rank == recording.rank for alarm in each.alarms()]
    first = min((alarm.step for alarm in alarms), default=None)
    if recording.facts().get("stopped"):
        why = say(
            "steadygrad stopped the run because nothing repaired it: {reason}",
            reason=again(str(recording.facts()["stopped"])),
        )
        return Judgement("stopped", why, first)
    if status:
        return Judgement("crashed", _why_crashed(run, status), first)
    broken = _why_incomplete(run, recording)
    if broken:
        return Judgement("unobserved" if first is None else "unstable", broken, first)
    if first is None:
        count = max(recording.step_counts().values())
        why = say_count("no alarm was raised in {count} step", "no alarm was raised in {count} steps", count)
        return Judgement("healthy", why, None)
    held = _held(recording)
    standing = [alarm for alarm in alarms if alarm.step > held]
    if standing and all(alarm.detector == "stalled" for alarm in standing) and not _has_learned(recording, standing[0]):
        why = _why_stalled(run, standing[0])
        if _had_learned(recording, standing[0]):
            return Judgement("stalled", say("the run has lost what it had learned: {why}", why=why), first)
        return Judgement("stalled", say("the run never learned: {why}", why=why), first)
    alarms = [alarm for alarm in alarms if alarm.detector != "stalled"] or alarms
    for each in run.recordings:
        reason = _why_unstable(run, each)
        if reason:
            return Judgement("unstable", say("{alarms}, and {reason}", alarms=_count(alarms), reason=reason), first)
    why = say("{alarms}, and the loss is back at its level before them", alarms=_count(alarms))
    return Judgement("recovered", why, first)


def _held(recording: ProcessRecording) -> int:
    """The step of the last repair that has held: what was wrong until then was put right. -1 without one."""
    return max((int(each.detail["since"]) for each in recording.actions() if each.action == "repair-held"), default=-1)


def _constrained(recording: ProcessRecording) -> int:
    """The step at which weights had been held for long enough: a loss that fell without end until then does no more."""
    held = [each for each in recording.actions() if each.action == "repair-held"]
    return max((each.step for each in held if each.detail["remedy"] == "constrain-weight-norms"), default=-1)


def _has_learned(recording: ProcessRecording, alarm: Alarm) -> bool:
    """Whether the loss has fallen so far in the end that the run cannot be called one that never learned.

    Since it was called one: what biases explain, or a burst at the start that is over, it may have lost before.
    """
    steps = recording.steps(alarm.optimizer)
    losses = steps.loss
    known = losses[np.isfinite(losses)]
    if len(known) < 2 * RECENT:
        return False
    before = losses[(steps.step <= alarm.step) & np.isfinite(losses)][-RECENT:]
    # Batches may differ in how hard they are: what has learned nothing is as bad at the easy ones.
    first, last = float(np.median(known[:RECENT])), float(np.quantile(known[-LATE:], 0.25))
    first = min(first, float(np.median(before))) if len(before) else first
    return first > 0 and last < LEARNED * first


def _had_learned(recording: ProcessRecording, alarm: Alarm) -> bool:
    """Whether the loss had once been far below where it began, and where it has come to since."""
    losses = recording.steps(alarm.optimizer).loss
    known = losses[np.isfinite(losses)]
    if len(known) < 2 * RECENT:
        return False
    levels = np.median(np.lib.stride_tricks.sliding_window_view(known, RECENT), axis=1)
    return 0.0 < float(levels.min()) < LEARNED * float(min(levels[0], levels[-1]))


def _why_stalled(run: Run, alarm: Alarm) -> str:
    if alarm.detail.get("why"):
        return _told(run, alarm)
    tensors = ", ".join(alarm.detail.get("unreached", [])[:3])
    if tensors:
        return say("no gradient reaches {tensors}", tensors=tensors)
    return say("its steps are next to none")


def _told(run: Run, alarm: Alarm) -> str:
    """Why an alarm was raised. It is recorded in English; in other languages the rule that said it is asked again."""
    why = str(alarm.detail.get("why", ""))
    if language() == "en" or "cause" not in alarm.detail:
        return why
    return next((each.summary for each in diagnose(run) if each.cause == alarm.detail["cause"]), why)


def _why_unstable(run: Run, recording: ProcessRecording) -> str | None:
    """Why a process' run cannot be called recovered; None when it can."""
    alarms = recording.alarms()
    for optimizer in recording.step_counts():
        own = [alarm for alarm in alarms if alarm.optimizer == optimizer]
        if own:
            steps = recording.steps(optimizer)
            reason = _not_back(run, steps, own, _held(recording), _constrained(recording))
            if reason:
                return reason
    return None


def _not_back(run: Run, steps: Steps, alarms: list[Alarm], held: int, constrained: int) -> str | None:
    lost = np.isin(steps.action.astype(str), list(SKIPS))
    tail = slice(max(0, len(steps) - RECENT), None)
    made = ~lost
    made[: tail.start] = False
    if not made.any():
        return say("every one of the last steps had to be skipped")
    known = steps.loss_known
    if not np.isfinite(steps.grad_norm[made]).all():
        return say("gradients were still not finite at the end")
    if not np.isfinite(steps.loss[made & known]).all():
        return say("the loss was still not finite at the end")
    standing = [alarm for alarm in alarms if alarm.step > held]
    if any(alarm.detector == "bottomless-loss" and alarm.step > constrained for alarm in standing):
        return say("the loss falls without end, and gradients grow with it")
    if any(alarm.detector == "uncleared-gradient" for alarm in standing):
        return say("gradients are never cleared: they pile up from step to step")
    if any(alarm.detector == "undone-steps" for alarm in standing):
        return say("weights are put back again and again: what the steps between gain is lost")
    scale = next((alarm for alarm in standing if alarm.detector == "out-of-scale"), None)
    if scale is not None and np.median(steps.grad_norm[made]) > 0.1 * steps.grad_norm[steps.step == scale.step].max():
        return say("gradients are still as far out of scale: {why}", why=_told(run, scale))
    if scale is not None and (made & known).any():
        then = steps.loss[(steps.step == scale.step) & known]
        if len(then) and np.median(steps.loss[made & known]) > 0.5 * then.max() > 0:
            return say("the loss is still as far out of scale: {why}", why=_told(run, scale))
    last_alarm = max(alarm.step for alarm in alarms)
    since = int((steps.step > last_alarm).sum())
    if since < min(3, len(steps) // 4):
        return say_count(
            "the run ended {count} step after the last one, too early to tell",
            "the run ended {count} steps after the last one, too early to tell",
            since,
        )
    if not known.any():
        return None
    finite = np.flatnonzero(known & np.isfinite(steps.loss))
    if not len(finite):
        return say("no finite loss was ever seen")
    first_alarm = min(alarm.step for alarm in alarms)
    before = steps.loss[known & (steps.step < first_alarm)]
    if not np.isfinite(before).any():
        before = steps.loss[finite[:1]]
    after = steps.loss[known & (steps.step > last_alarm)]
    drifted = any(alarm.detector in DRIFTS for alarm in alarms)
    start = float(steps.loss[finite[0]])
    known_first = [each for alarm in alarms if (each := alarm.detail.get("first_loss")) is not None]
    if known_first and known_first[0] < start:  # those of the first steps are not in the recording
        before, start = np.array(known_first), known_first[0]
    back = recovery(before, after, start=start, from_best=drifted)
    if back is None:
        return say("no loss was seen after the last one")
    if not back.holds:
        return say(
            "the loss ended at {after:.4g}, above {allowed:.4g} (it was {before:.4g} before the first)",
            after=back.after,
            allowed=back.allowed,
            before=back.before,
        )
    return None


def _why_crashed(run: Run, status: int) -> str:
    if status < 0:
        return say("the command was ended by {signal}", signal=signal_name(-status))
    error = next(
        (event.detail["error"] for event in run.events() if event.name == "exit" and "error" in event.detail),
        None,
    )
    if error:
        return say("the command ended with status {status}: {error}", status=status, error=error)
    return say("the command ended with status {status}", status=status)


def _why_incomplete(run: Run, recording: ProcessRecording) -> str | None:
    """Why a recording without alarms does not show a healthy run: it does not reach the end."""
    last: dict[int, str] = {}
    for event in run.events():
        if event.name in {*EVENTS, "resumed"}:
            last[event.pid] = event.name
            if event.name != "resumed":
                error = again(str(event.detail.get("error", "")))
                last[event.pid] = say("{event}: {error}", event=say(event.name), error=error)
    told = [what for what in last.values() if what != "resumed"]
    if not told:
        return None
    return say_count(
        "watched for {count} step, then no longer ({why}): what came after is not known",
        "watched for {count} steps, then no longer ({why}): what came after is not known",
        max(recording.step_counts().values()),
        why=told[0],
    )


def _why_unobserved(run: Run) -> str:
    events = run.events()
    names = {event.name for event in events}
    let_go = next((event.detail.get("error", "") for event in events if event.name == "detached"), None)
    if let_go is not None:
        return say(
            "an error inside steadygrad made it let go before the first step was recorded ({error})", error=let_go
        )
    if "absent" in names:
        pythons = sorted({event.detail.get("python", "?") for event in events if event.name == "absent"})
        return say(
            "steadygrad is not installed for the Python that ran the training ({pythons})", pythons=", ".join(pythons)
        )
    if "off" in names:
        return say("steadygrad was turned off (STEADYGRAD=off)")
    if "backward" in names:
        return say(
            "gradients were computed, but no torch.optim optimizer made a step: parameters that the script updates "
            "itself (p.data.add_(...)) are not watched; use a torch.optim optimizer (nor are steps in torch.compile)"
        )
    if "attached" in names:
        return say(
            "torch was loaded, but neither a backward pass nor an optimizer step was seen; gradients that torch.func "
            "computes are not watched: use loss.backward() and a torch.optim optimizer"
        )
    return say(
        "no watched Python process loaded torch: the command may run no PyTorch training, "
        "or Python was told to ignore its environment (-I, -E, -S)"
    )


def signal_name(number: int) -> str:
    """The name of a signal, for people.

    >>> signal_name(15)
    'SIGTERM'
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _count(alarms: list[Alarm]) -> str:
    detectors = sorted({alarm.detector for alarm in alarms})
    names = ", ".join(detectors)
    return say_count("{count} alarm ({names})", "{count} alarms ({names})", len(alarms), names=names)
