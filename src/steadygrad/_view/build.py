"""A recorded run and its summary, put together as one page."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._i18n import say
from ..diagnosis import summarize
from ..records import NO_GRADIENT, OptimizerInfo
from ..store import ProcessRecording, Run
from ..store.reader import Steps
from . import events
from .heat import CELLS, TensorExtremes, read_heat
from .model import Fact, Heat, Lines, Page, Section, TensorRow
from .reduce import lines

MAPPED = ("grad_norm", "update_ratio")
"""The per-tensor quantities that get a map, the first one always."""


def build_page(run: Run, summary: Mapping[str, Any] | None = None) -> Page:
    """The page of a recorded run.

    Args:
        run: a recorded run, ended or not.
        summary: its summary where the caller has it already; see `diagnosis.summarize`.

    Returns:
        Everything the report shows.

    Raises:
        RecordingError: the recording is damaged.
    """
    summary = summarize(run) if summary is None else summary
    recording = run.main
    sections, series = _sections(recording) if recording else ((), ())
    rows, left_out = events.table(series)
    return Page(
        title=run.manifest.name,
        verdict=str(summary["verdict"]),
        reason=str(summary.get("reason") or ""),
        error=str((summary.get("exit") or {}).get("error") or ""),
        command=" ".join(run.manifest.command),
        started=run.manifest.created,
        ended=run.manifest.ended,
        notices=_notices(run),
        facts=tuple(_facts(run, summary, series)),
        findings=tuple(summary.get("findings") or ()),
        sections=sections,
        events=rows,
        events_left_out=left_out,
    )


def _sections(recording: ProcessRecording) -> tuple[tuple[Section, ...], tuple[events.Series, ...]]:
    actions, alarms = recording.actions(), recording.alarms()
    optimizers = recording.optimizers()
    cells = CELLS // max(1, len(optimizers) * len(MAPPED))
    sections, all_series = [], []
    for info in optimizers:
        steps = recording.steps(info.index)
        series = events.gather(info.index, steps, actions, alarms)
        count = int(steps.step[-1]) + 1 if len(steps) else 0
        heats, extremes = _heats(recording, info, count, cells)
        all_series += series
        sections.append(
            Section(
                index=info.index,
                name=info.name,
                steps=count,
                loss=_known(steps, "loss", steps.loss_known),
                grad_norm=lines(steps.step, {"grad_norm": steps.grad_norm, "clipped_norm": steps.clipped_norm}),
                lr=_known(steps, "lr", ~np.isnan(steps.lr)),
                heats=heats,
                timeline=tuple(events.timeline_row(each) for each in series),
                tensors=_tensors(info, extremes),
            )
        )
    return tuple(sections), tuple(all_series)


def _known(steps: Steps, name: str, known: np.ndarray) -> Lines:
    """A curve over the steps at which it is known: a loss that was not seen is no NaN."""
    return lines(steps.step[known], {name: getattr(steps, name)[known]})


def _heats(
    recording: ProcessRecording, info: OptimizerInfo, steps: int, cells: int
) -> tuple[tuple[Heat, ...], TensorExtremes]:
    heats = []
    reached = TensorExtremes(np.full(len(info.tensors), NO_GRADIENT), np.full(len(info.tensors), -1))
    for quantity in MAPPED:
        heat, extremes = read_heat(recording, quantity, info.index, info.tensors, steps, cells)
        if quantity == "grad_norm":
            reached = extremes
        if heat is not None:
            heats.append(heat)
    return tuple(heats), reached


def _tensors(info: OptimizerInfo, extremes: TensorExtremes) -> tuple[TensorRow, ...]:
    return tuple(
        TensorRow(
            tensor.name,
            tensor.shape,
            tensor.dtype,
            float(largest) if largest >= 0 else None,
            int(first) if first >= 0 else None,
        )
        for tensor, largest, first in zip(info.tensors, extremes.largest, extremes.first_nonfinite, strict=True)
    )


def _notices(run: Run) -> tuple[str, ...]:
    """What a reader of the figures must know before trusting them."""
    recording, notices = run.main, []
    if recording is not None:
        detached = recording.facts().get("detached")
        if detached:
            notices.append(say("The watcher detached itself and training went on unwatched: {error}", error=detached))
        if len(run.recordings) > 1:
            notices.append(
                say(
                    "The figures show rank {rank}, one of {count} recorded processes.",
                    rank=recording.rank,
                    count=len(run.recordings),
                )
            )
    return tuple(notices)


def _facts(run: Run, summary: Mapping[str, Any], series: tuple[events.Series, ...]) -> list[Fact]:
    facts = [_steps_fact(run, summary), _alarm_fact(summary, series), _nonfinite_fact(summary)]
    facts += [_actions_fact(series), _loss_fact(summary), _overhead_fact(summary), _exit_fact(run, summary)]
    return facts


def _steps_fact(run: Run, summary: Mapping[str, Any]) -> Fact:
    world = summary.get("world_size") or 1
    notes = [say("{mode} mode", mode=summary["mode"])]
    if world > 1:
        notes.append(say("{count} ranks", count=world))
    if run.manifest.ended is not None:
        notes.append(_duration(run.manifest.ended - run.manifest.created))
    return Fact(say("Steps"), f"{summary['steps']:,}", ", ".join(notes))


def _alarm_fact(summary: Mapping[str, Any], series: tuple[events.Series, ...]) -> Fact:
    step = summary.get("first_alarm_step")
    alarms = [each for each in series if each.kind == "alarm"]
    total = sum(len(each.step) for each in alarms)
    if step is None:
        return Fact(say("First alarm"), say("none"))
    names = sorted({each.name for each in alarms if len(each.step) and each.step[0] == step})
    more = [say("{count:,} alarms in all", count=total)] if total > 1 else []
    return Fact(say("First alarm"), say("step {step:,}", step=step), ", ".join([*names, *more]), step)


def _nonfinite_fact(summary: Mapping[str, Any]) -> Fact:
    first = summary.get("first_nonfinite")
    if not first:
        return Fact(say("First non-finite value"), say("none"))
    step = first.get("step")
    shape = "×".join(str(size) for size in first.get("shape") or ())
    inside = ", ".join(str(part) for part in (first.get("op"), shape) if part)
    where = str(first.get("where") or say("place not known"))
    phase = f"{say(str(first['phase']))}: " if first.get("phase") else ""
    value = say("step {step:,}", step=step) if isinstance(step, int) else say("seen")
    link = step if isinstance(step, int) else None
    return Fact(say("First non-finite value"), value, f"{phase}{where}" + (f" ({inside})" if inside else ""), link)


def _actions_fact(series: tuple[events.Series, ...]) -> Fact:
    counts: dict[str, int] = {}
    for each in series:
        if each.kind == "action":
            counts[each.name] = counts.get(each.name, 0) + len(each.step)
    if not counts:
        return Fact(say("Actions"), say("none"), say("training was not changed"))
    listed = sorted(counts.items(), key=lambda item: -item[1])
    return Fact(say("Actions"), f"{sum(counts.values()):,}", " · ".join(f"{count:,} {name}" for name, count in listed))


def _loss_fact(summary: Mapping[str, Any]) -> Fact:
    loss = summary.get("loss") or {}
    if loss.get("first") is None and loss.get("last") is None:
        return Fact(say("Loss"), "–", say("no loss was seen"))
    span = f"{events.number(loss.get('first'))} → {events.number(loss.get('last'))}"
    return Fact(say("Loss"), span, say("best {loss}", loss=events.number(loss.get("best"))))


def _overhead_fact(summary: Mapping[str, Any]) -> Fact:
    overhead = summary.get("overhead") or {}
    fraction, seconds = overhead.get("fraction"), overhead.get("seconds")
    share = f"{100 * fraction:.2g} %" if isinstance(fraction, float | int) and math.isfinite(fraction) else "–"
    spent = "" if seconds is None else say("{seconds} s of watching", seconds=events.number(seconds, 3))
    return Fact(say("Overhead"), share, spent)


def _exit_fact(run: Run, summary: Mapping[str, Any]) -> Fact:
    ended = summary.get("exit") or {}
    if ended.get("signal"):
        return Fact(say("Exit"), str(ended["signal"]), say("ended by a signal"))
    if ended.get("status") is not None:
        return Fact(
            say("Exit"), say("status {status}", status=ended["status"]), "" if ended["status"] else say("success")
        )
    if run.manifest.ended is None:
        return Fact(say("Exit"), say("not ended"), say("as of {time}", time=time.strftime("%H:%M:%S")))
    return Fact(say("Exit"), say("not known"))


def _duration(seconds: float) -> str:
    """A time span for people.

    >>> _duration(3.21), _duration(75), _duration(7300)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
