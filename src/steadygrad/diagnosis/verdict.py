"""The verdict of a run: one word of `VERDICTS`, and the sentence that says why."""

import signal
from dataclasses import dataclass

import numpy as np

from .._levels import RECENT, recovery
from ..records import DRIFTS, Alarm
from ..store import ProcessRecording, Run
from ..store.reader import Steps

VERDICTS = {
    "healthy": "no alarm was raised",
    "recovered": "there were alarms, and the run ended verified good",
    "unstable": "there were alarms, and the run did not come back",
    "stalled": "the run never learned",
    "stopped": "steadygrad stopped the run because nothing repaired it",
    "crashed": "the command failed or was killed",
    "unobserved": "no optimizer step was seen",
}

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
            return Judgement("crashed", f"{_why_crashed(run, status)}; {VERDICTS['unobserved']}", None)
        return Judgement("unobserved", _why_unobserved(run), None)
    alarms = [alarm for each in run.recordings if each.rank == recording.rank for alarm in each.alarms()]
    first = min((alarm.step for alarm in alarms), default=None)
    if recording.facts().get("stopped"):
        return Judgement("stopped", f"{VERDICTS['stopped']}: {recording.facts()['stopped']}", first)
    if status:
        return Judgement("crashed", _why_crashed(run, status), first)
    broken = _why_incomplete(run, recording)
    if broken:
        return Judgement("unobserved" if first is None else "unstable", broken, first)
    if first is None:
        return Judgement("healthy", f"{VERDICTS['healthy']} in {_steps(recording)}", None)
    if all(alarm.detector == "stalled" for alarm in alarms):
        tensors = ", ".join(alarms[0].detail.get("unreached", [])[:3])
        why = alarms[0].detail.get("why") or (
            f"no gradient reaches {tensors}" if tensors else "its steps are next to none"
        )
        return Judgement("stalled", f"{VERDICTS['stalled']}: {why}", first)
    alarms = [alarm for alarm in alarms if alarm.detector != "stalled"]
    for each in run.recordings:
        reason = _why_unstable(each)
        if reason:
            return Judgement("unstable", f"{_count(alarms)}, and {reason}", first)
    return Judgement("recovered", f"{_count(alarms)}, and the loss is back at its level before them", first)


def _why_unstable(recording: ProcessRecording) -> str | None:
    """Why a process' run cannot be called recovered; None when it can."""
    alarms = recording.alarms()
    for optimizer in recording.step_counts():
        own = [alarm for alarm in alarms if alarm.optimizer == optimizer]
        if own:
            steps = recording.steps(optimizer)
            reason = _not_back(steps, own)
            if reason:
                return reason
    return None


def _not_back(steps: Steps, alarms: list[Alarm]) -> str | None:
    lost = np.isin(steps.action.astype(str), list(SKIPS))
    tail = slice(max(0, len(steps) - RECENT), None)
    made = ~lost
    made[: tail.start] = False
    if not made.any():
        return "every one of the last steps had to be skipped"
    known = steps.loss_known
    if not np.isfinite(steps.grad_norm[made]).all():
        return "gradients were still not finite at the end"
    if not np.isfinite(steps.loss[made & known]).all():
        return "the loss was still not finite at the end"
    if any(alarm.detector == "uncleared-gradient" for alarm in alarms):
        return "gradients are never cleared: they pile up from step to step"
    scale = next((alarm for alarm in alarms if alarm.detector == "out-of-scale"), None)
    if scale is not None and np.median(steps.grad_norm[made]) > 0.1 * steps.grad_norm[steps.step == scale.step].max():
        return f"gradients are still as far out of scale: {scale.detail.get('why', '')}"
    last_alarm = max(alarm.step for alarm in alarms)
    since = int((steps.step > last_alarm).sum())
    if since < min(3, len(steps) // 4):
        return f"the run ended {since} steps after the last one, too early to tell"
    if not known.any():
        return None
    finite = np.flatnonzero(known & np.isfinite(steps.loss))
    if not len(finite):
        return "no finite loss was ever seen"
    first_alarm = min(alarm.step for alarm in alarms)
    before = steps.loss[known & (steps.step < first_alarm)]
    if not np.isfinite(before).any():
        before = steps.loss[finite[:1]]
    after = steps.loss[known & (steps.step > last_alarm)]
    drifted = any(alarm.detector in DRIFTS for alarm in alarms)
    back = recovery(before, after, start=float(steps.loss[finite[0]]), from_best=drifted)
    if back is None:
        return "no loss was seen after the last one"
    if not back.holds:
        return (
            f"the loss ended at {back.after:.4g}, above {back.allowed:.4g} (it was {back.before:.4g} before the first)"
        )
    return None


def _why_crashed(run: Run, status: int) -> str:
    if status < 0:
        return f"the command was ended by {signal_name(-status)}"
    error = next(
        (event.detail["error"] for event in run.events() if event.name == "exit" and "error" in event.detail),
        None,
    )
    return f"the command ended with status {status}" + (f": {error}" if error else "")


def _why_incomplete(run: Run, recording: ProcessRecording) -> str | None:
    """Why a recording without alarms does not show a healthy run: it does not reach the end."""
    last: dict[int, str] = {}
    for event in run.events():
        if event.name in {"interrupted", "resumed", "detached"}:
            last[event.pid] = event.name
            if event.name != "resumed":
                last[event.pid] = f"{event.name}: {event.detail.get('error', '')}"
    told = [what for what in last.values() if what != "resumed"]
    return (
        f"watched for {_steps(recording)}, then no longer ({told[0]}): what came after is not known" if told else None
    )


def _why_unobserved(run: Run) -> str:
    events = run.events()
    names = {event.name for event in events}
    let_go = next((event.detail.get("error", "") for event in events if event.name == "detached"), None)
    if let_go is not None:
        return f"an error inside steadygrad made it let go before the first step was recorded ({let_go})"
    if "absent" in names:
        pythons = sorted({event.detail.get("python", "?") for event in events if event.name == "absent"})
        return f"steadygrad is not installed for the Python that ran the training ({', '.join(pythons)})"
    if "off" in names:
        return "steadygrad was turned off (STEADYGRAD=off)"
    if "backward" in names:
        return (
            "gradients were computed, but no torch.optim optimizer made a step: parameters that the script updates "
            "itself (p.data.add_(...)) are not watched; use a torch.optim optimizer (nor are steps in torch.compile)"
        )
    if "attached" in names:
        return "torch was loaded, but neither a backward pass nor an optimizer step was seen"
    return (
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
    return f"{len(alarms)} alarm{'' if len(alarms) == 1 else 's'} ({', '.join(detectors)})"


def _steps(recording: ProcessRecording) -> str:
    count = max(recording.step_counts().values())
    return f"{count} step{'' if count == 1 else 's'}"
