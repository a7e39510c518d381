"""The summary of a run as one JSON object, schema `steadygrad.run/1`. Non-finite numbers are written as strings."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .._i18n import say
from .._strict_json import strict
from ..records import Action
from ..store import ProcessRecording, Run
from ..store.events import Event
from ..store.folder import SCHEMA
from .diagnose import cases_of, of_case, ranked
from .first_nonfinite import first_nonfinite
from .verdict import judge, signal_name

MAX_LISTED = 1_000
"""Actions and alarms listed in the summary; their counts are always complete."""


def summarize(run: Run) -> dict[str, Any]:
    """The summary of a recorded run.

    Args:
        run: a recorded run, ended or not.

    Returns:
        The object of schema `steadygrad.run/1`; floats in it may be NaN or infinite, see `to_json`.
    """
    judgement = judge(run)
    cases = cases_of(run)
    findings = ranked([finding for case in cases for finding in of_case(case)])
    recording = run.main
    facts = recording.facts() if recording else {}
    # Of several ranks the first speaks for all: they act alike. A second watch in one process speaks for itself.
    own = [each for each in run.recordings if recording and each.rank == recording.rank]
    actions = sorted((action for each in own for action in each.actions()), key=lambda action: action.step)
    alarms = sorted((alarm for each in own for alarm in each.alarms()), key=lambda alarm: alarm.step)
    status = run.manifest.status
    events = run.events()
    errors = [event.detail["error"] for event in events if event.name == "exit" and "error" in event.detail]
    return {
        "schema": run.manifest.schema,
        "run": str(run.folder),
        "mode": run.manifest.mode,
        "world_size": facts.get("world_size", 1),
        "steps": max(recording.step_counts().values()) if recording else 0,
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "first_alarm_step": judgement.first_alarm_step,
        "findings": [asdict(finding) for finding in findings],
        "first_nonfinite": first_nonfinite(recording, cases) if recording else None,
        "actions": [_action(action) for action in actions[:MAX_LISTED]],
        "action_counts": _counts(action.action for action in actions),
        "alarms": [asdict(alarm) for alarm in alarms[:MAX_LISTED]],
        "remedied": _remedied(events),
        "loss": _losses(recording),
        "overhead": facts.get("overhead", {"seconds": 0.0, "fraction": 0.0}),
        "exit": {
            "status": status,
            "signal": signal_name(-status) if status is not None and status < 0 else None,
            "error": errors[0] if errors else None,
        },
    }


def to_json(summary: Any, *, indent: int | None = 1) -> str:
    """Strict JSON: non-finite floats become the strings "nan", "inf" and "-inf".

    >>> to_json({"loss": float("nan"), "best": -float("inf")}, indent=None)
    '{"loss": "nan", "best": "-inf"}'
    """
    return json.dumps(strict(summary), indent=indent, allow_nan=False)


def _action(action: Action) -> dict[str, Any]:
    return {
        "step": action.step,
        "optimizer": action.optimizer,
        "action": action.action,
        "detail": dict(action.detail),
    }


def _counts(names: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _remedied(events: Sequence[Event]) -> list[dict[str, Any]]:
    """What was applied from outside; of several processes the one speaks in which it has changed most."""
    kept: dict[str, dict[str, Any]] = {}
    for each in (one for event in events if event.name == "remedied" for one in event.detail["remedies"]):
        key = json.dumps({**each, "times": 0}, sort_keys=True)
        if key not in kept or kept[key]["times"] < each["times"]:
            kept[key] = each
    return list(kept.values())


def _losses(recording: ProcessRecording | None) -> dict[str, float | None]:
    if recording is None:
        return {"first": None, "best": None, "last": None}
    counts = recording.step_counts()
    steps = recording.steps(max(counts, key=lambda index: counts[index]))
    losses = steps.loss[steps.loss_known]
    if not len(losses):
        return {"first": None, "best": None, "last": None}
    finite = losses[np.isfinite(losses)]
    best = float(finite.min()) if len(finite) else None
    return {"first": float(losses[0]), "best": best, "last": float(losses[-1])}


def lost_run(folder: Path, status: int | None) -> dict[str, Any]:
    """The summary of a run whose folder was taken away while it ran: the same object, with nothing known in it.

    Args:
        folder: where the run was.
        status: how the command ended.

    Returns:
        An object of schema `steadygrad.run/1`.
    """
    gone = say("the run folder {folder} is gone or unreadable: nothing is known of the run", folder=folder)
    name = signal_name(-status) if status is not None and status < 0 else None
    if name:
        reason = say("the command was ended by {signal}; {gone}", signal=name, gone=gone)
    elif status:
        reason = say("the command ended with status {status}; {gone}", status=status, gone=gone)
    else:
        reason = gone
    return {
        "schema": SCHEMA,
        "run": str(folder),
        "mode": None,
        "world_size": 1,
        "steps": 0,
        "verdict": "crashed" if status else "unobserved",
        "reason": reason,
        "first_alarm_step": None,
        "findings": [],
        "first_nonfinite": None,
        "actions": [],
        "action_counts": {},
        "alarms": [],
        "remedied": [],
        "loss": _losses(None),
        "overhead": {"seconds": 0.0, "fraction": 0.0},
        "exit": {"status": status, "signal": name, "error": None},
    }
