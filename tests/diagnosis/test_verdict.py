"""The verdict: what it says of recorded runs whose story is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad._levels import recovery
from steadygrad.diagnosis import open_run, to_json
from steadygrad.records import Action, Alarm, OptimizerInfo, StepRecord, TensorInfo
from steadygrad.store import Recorder, append_event, create_run, finish_run


def run_of(tmp_path, losses, *, alarms=(), skips=(), status=0, norms=None, stopped=False):
    folder = create_run(tmp_path, "train", "protect", ())
    if losses is not None:
        made = Recorder(folder / "rank0-1.db", lambda line: None)
        made.optimizer(OptimizerInfo(0, "SGD", (TensorInfo("w", (2,), "float32"),)))
        for number, loss in enumerate(losses):
            norm = 1.0 if norms is None else norms[number]
            action = "skip" if number in skips else ""
            made.step(StepRecord(0, number, 0.0, loss, 0.1, norm, norm, 1.0, action), b"\0\0\x80\x3f")
        for number in alarms:
            made.alarm(Alarm(0, number, "nonfinite-loss", {}))
        for number in skips:
            made.action(Action(0, number, "skip", {}))
        if stopped:
            made.facts({"stopped": "nothing helped"})
        made.close()
    if status is not None:
        finish_run(folder, status)
    return open_run(folder)


FALLING = list(np.linspace(2.0, 1.0, 100) + 0.01 * np.sin(np.arange(100)))
NAN = float("nan")


def with_nan(*places):
    return [NAN if number in places else loss for number, loss in enumerate(FALLING)]


CASES = {
    "no alarm": ({"losses": FALLING}, "healthy"),
    "one bad step": ({"losses": with_nan(50), "alarms": [50], "skips": [50]}, "recovered"),
    "one bad step near the end": ({"losses": with_nan(94), "alarms": [94], "skips": [94]}, "recovered"),
    "the last step bad": ({"losses": with_nan(99), "alarms": [99], "skips": [99]}, "unstable"),
    "the first step bad": ({"losses": with_nan(0), "alarms": [0], "skips": [0]}, "recovered"),
    "never back": ({"losses": FALLING[:50] + [9.0] * 50, "alarms": [50]}, "unstable"),
    "all lost": ({"losses": [NAN] * 30, "alarms": range(30), "skips": range(30)}, "unstable"),
    "nan to the end": ({"losses": FALLING[:60] + [NAN] * 40, "alarms": range(60, 100)}, "unstable"),
    "wrecked before the alarm": ({"losses": [1.0, 5.0, 1e3, 1e9, *[1e12] * 40], "alarms": [4]}, "unstable"),
    "losses not known": ({"losses": [None] * 40, "alarms": [5], "skips": [5]}, "recovered"),
    "negative losses": ({"losses": [loss - 50 for loss in with_nan(50)], "alarms": [50], "skips": [50]}, "recovered"),
    "no steps": ({"losses": None}, "unobserved"),
    "no steps and a failure": ({"losses": None, "status": 1}, "crashed"),
    "failure": ({"losses": FALLING, "status": 3}, "crashed"),
    "signal": ({"losses": FALLING, "status": -15}, "crashed"),
    "stopped by us": ({"losses": FALLING, "status": 1, "stopped": True}, "stopped"),
    "still running": ({"losses": FALLING, "status": None}, "healthy"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict(name, tmp_path):
    story, verdict = CASES[name]
    run = run_of(tmp_path, **story)
    assert run.verdict == verdict, run.summary()["reason"]
    assert run.summary()["verdict"] == verdict
    assert len(run.summary()["reason"]) > 10
    assert run.summary()["first_alarm_step"] == min(story.get("alarms") or [], default=None)


def stalled(folder, losses, at):
    """A finished run of these losses that was called stalled at a step."""
    made = Recorder(folder / "rank0-1.db", lambda line: None)
    made.optimizer(OptimizerInfo(0, "SGD", (TensorInfo("w", (2,), "float32"),)))
    for number, loss in enumerate(losses):
        made.step(StepRecord(0, number, 0.0, loss, 0.1, 1.0, 1.0, 1.0, ""), b"\0\0\x80\x3f")
    made.alarm(Alarm(0, at, "stalled", {"why": "half of the units are off", "first_loss": losses[0]}))
    made.close()
    finish_run(folder, 0)
    return open_run(folder)


@pytest.mark.parametrize(("losses", "verdict"), [([2.0] * 100, "stalled"), ([2.0] * 50 + [0.3] * 50, "recovered")])
def test_what_has_learned_in_the_end_is_not_called_stalled(losses, verdict, tmp_path):
    assert stalled(create_run(tmp_path, "train", "protect", ()), losses, 40).verdict == verdict


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ([2.0] * 100, "never learned"),
        (list(np.geomspace(90.0, 2.3, 30)) + [2.3] * 70, "never learned"),  # a wild start, and a guess since
        ([2.0] * 20 + [0.1] * 60 + [2.0] * 100, "has lost what it had learned"),
    ],
)
def test_a_stalled_run_is_not_said_to_have_never_learned_what_it_has_lost(losses, reason, tmp_path):
    run = stalled(create_run(tmp_path, "train", "protect", ()), losses, len(losses) - 20)
    assert run.verdict == "stalled"
    assert reason in run.summary()["reason"]


def test_a_recording_that_broke_off_is_not_called_healthy(tmp_path):
    run = run_of(tmp_path, FALLING)
    append_event(run.folder, "interrupted", error="disk full")
    assert open_run(run.folder).verdict == "unobserved"
    append_event(run.folder, "resumed")
    assert open_run(run.folder).verdict == "healthy"


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=60),
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
    st.floats(-1e3, 1e3),
)
def test_recovery_does_not_depend_on_a_shift_within_its_scale(before, after, extra):
    found = recovery(np.array(before), np.array(after))
    assert found is not None
    assert found.holds == (found.after <= found.allowed)
    assert found.allowed >= found.before
    worse = recovery(np.array(before), np.array(after) + abs(extra))
    assert worse is not None
    assert found.holds or not worse.holds


def test_recovery_needs_losses():
    assert recovery(np.array([NAN]), np.array([1.0])) is None
    assert recovery(np.array([1.0]), np.array([])) is None


def test_json_is_strict():
    import json

    text = to_json({"a": [float("inf"), {"b": NAN}], 3: (1.5, None, True)})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": ["inf", {"b": "nan"}], "3": [1.5, None, True]}


@pytest.mark.parametrize(("after", "verdict"), [(1.0, "stalled"), (0.3, "recovered")])
def test_what_a_run_had_lost_before_it_was_called_stalled_is_nothing_learned(after, verdict, tmp_path):
    """Biases alone may explain nine tenths of a first loss."""
    losses = list(np.geomspace(10.0, 1.0, 60)) + [1.0] * 60 + [after] * 200
    assert stalled(create_run(tmp_path, "train", "protect", ()), losses, 110).verdict == verdict
