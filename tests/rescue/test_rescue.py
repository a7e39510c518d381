"""Unmodified scripts, rescued by real re-runs."""

import json
import sys
import time
from pathlib import Path

import pytest
from tests.faulty_scripts import HEAD, PILED_UP, RANDOM, RAW_INPUTS, SOUND, SUMMED, TOO_FAST

from steadygrad.rescue import Events, LocalExecutor, Rescue, Workspace
from steadygrad.rescue import rescue as module
from steadygrad.rescue.job import Job, run_job
from steadygrad.trials import Candidate

pytestmark = pytest.mark.slow


def rescue(tmp_path, text, **options):
    work = tmp_path / "work"
    work.mkdir(parents=True)
    (work / "train.py").write_text(text)
    options = {"threads": 1, **options}
    executor = options.pop("executor", LocalExecutor(2))
    rescuing = Rescue((sys.executable, "train.py"), "train", tmp_path / "runs", executor, Workspace(work), **options)
    return rescuing.run(), work


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (TOO_FAST, "learning-rate"),
        (PILED_UP, "missing-zero-grad"),
        (SUMMED, "loss-scale"),
        (RAW_INPUTS, "input-scale"),
    ],
    ids=["rate", "zero-grad", "summed", "inputs"],
)
def test_the_cause_is_proven_and_the_change_mends_the_script(tmp_path, text, cause):
    result, work = rescue(tmp_path, text)
    proof = result.proof
    assert proof.cause == cause
    assert proof.deterministic is True
    first = proof.findings[0]
    assert (first.cause, first.proven) == (cause, True)
    assert first.confidence > 0.9
    assert all(each.proven is not True for each in proof.findings[1:])
    assert cause in proof.proving.candidate.removes
    assert result.change is not None
    assert (work / "train.py").read_text() == text, "the script is not changed"
    assert sorted(each.name for each in work.iterdir()) == ["train.py"]
    if result.change.diff is not None:
        mended = apply(text, result.change.diff)
        again, _ = rescue(tmp_path / "again", mended)
        assert again.nothing_wrong


def apply(text, diff):
    """A unified diff, applied by hand: what a user does with `patch`."""
    lines, out, place = text.splitlines(keepends=True), [], 0
    for line in diff.splitlines(keepends=True)[2:]:
        if line.startswith("@@"):
            start = int(line.split("-")[1].split(",")[0]) - 1
            out += lines[place:start]
            place = start
        elif line.startswith("+"):
            out.append(line[1:])
        else:
            assert lines[place] == line[1:]
            if line.startswith(" "):
                out.append(lines[place])
            place += 1
    return "".join([*out, *lines[place:]])


def test_of_a_sound_run_nothing_is_tried(tmp_path):
    result, _ = rescue(tmp_path, SOUND)
    assert result.nothing_wrong
    assert not result.trials
    assert result.proof is None


def test_a_script_that_is_random_is_less_certain(tmp_path):
    result, _ = rescue(tmp_path, RANDOM)
    assert result.proof.deterministic is False
    proven = [each for each in result.proof.findings if each.proven]
    assert all(each.confidence <= 0.9 for each in proven)


def test_the_budget_ends_it_and_keeps_what_was_measured(tmp_path):
    result, _ = rescue(
        tmp_path,
        TOO_FAST.replace("    loss.backward()", "    __import__('time').sleep(0.05)\n    loss.backward()"),
        budget=20.0,
    )
    assert result.budget_spent
    assert result.seconds < 60
    assert result.controls


def test_other_candidates_may_be_given(tmp_path):
    result, _ = rescue(
        tmp_path, TOO_FAST, candidates=[Candidate("leaky-relu", ("dead-units",)), Candidate("clip-global-norm")]
    )
    assert [each.candidate.remedy for each in sorted(result.trials, key=lambda each: each.number)] == [
        "leaky-relu",
        "clip-global-norm",
    ]
    by_name = {each.candidate.remedy: each for each in result.trials}
    assert by_name["leaky-relu"].did_nothing
    assert result.proof.cause is None, "a clip relieves, and proves nothing"
    assert result.to_dict()["schema"] == "steadygrad.rescue/1"
    json.dumps(result.to_dict(), default=str)


def test_events_are_told_in_order(tmp_path):
    told = []
    events = Events(
        lambda run: told.append(("watched", run.verdict)),
        lambda count, what: told.append(("planned", count)),
        lambda trial, mended: told.append(("tried", trial.name, mended)),
    )
    rescue(
        tmp_path,
        TOO_FAST,
        events=events,
        candidates=[Candidate("lower-learning-rate", ("learning-rate",), options={"factor": 0.01})],
    )
    assert told[0] == ("watched", "unstable")
    assert ("tried", "control", False) in told
    assert told[-1] == ("tried", "lower-learning-rate (factor 0.01)", True)


def job(tmp_path, text, **options):
    (tmp_path / "work").mkdir(exist_ok=True)
    (tmp_path / "work" / "train.py").write_text(text)
    return Job((sys.executable, "train.py"), Workspace(tmp_path / "work"), tmp_path / "trial", threads=1, **options)


def test_a_control_is_the_script_itself(tmp_path):
    trial = run_job(job(tmp_path, SOUND))
    printed = (tmp_path / "trial" / "output.txt").read_text()
    assert len(trial.series.losses) == 120
    assert printed == f"final loss {trial.series.losses[-1]}\n"
    assert trial.whole
    assert not trial.error


def test_a_trial_ends_when_it_has_enough_steps_or_no_hope(tmp_path):
    assert len(run_job(job(tmp_path, SOUND, steps=30)).series.losses) == 30
    trial = run_job(job(tmp_path, TOO_FAST.replace("lr=4.0", "lr=1e6")))
    assert len(trial.series.losses) < 60
    assert not trial.error
    assert trial.series.broken


def test_a_script_that_stumbles_is_no_trial(tmp_path):
    trial = run_job(job(tmp_path, SOUND + "\nraise KeyError('column')\n"))
    assert trial.error == "KeyError: 'column'"
    assert run_job(job(tmp_path, "x = input()")).error.startswith("EOFError")
    assert run_job(job(tmp_path, "import torch")).error == "no step of a training was seen"


def test_a_trial_that_hangs_is_ended_with_all_that_it_has_started(tmp_path):
    text = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', \"import time; time.sleep(5); open(%r, 'w')\"])\ntime.sleep(60)"
    began = time.monotonic()
    trial = run_job(job(tmp_path, text % str(tmp_path / "late.txt"), timeout=2.0))
    assert time.monotonic() - began < 20
    assert trial.error == "took longer than 2 s"
    time.sleep(5)
    assert not Path(tmp_path / "late.txt").exists()


def test_workers_of_a_loader_say_nothing(tmp_path):
    loop = """
from torch.utils.data import DataLoader, TensorDataset

optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
if __name__ == "__main__":
    for x, y in DataLoader(TensorDataset(X, Y), batch_size=64, num_workers=1, multiprocessing_context="spawn"):
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
"""
    assert len(run_job(job(tmp_path, HEAD + loop)).series.losses) == 4


def test_a_long_script_is_tried_in_short_runs_first(tmp_path, monkeypatch):
    """Everybody goes a little beyond the onset, the better ones further, the last two to the end."""
    monkeypatch.setattr(module, "LONG", 0.0)
    monkeypatch.setattr(module, "LEAST", 20)
    candidates = [
        Candidate("lower-learning-rate", ("learning-rate",), options={"factor": 0.01}),
        Candidate("lower-learning-rate", ("learning-rate",), options={"factor": 0.02}),
        Candidate("lower-learning-rate", ("learning-rate",), options={"factor": 0.03}),
        Candidate("lower-learning-rate", ("learning-rate",), options={"factor": 0.9}),
        Candidate("leaky-relu", ("dead-units",)),
    ]
    result, _ = rescue(tmp_path, TOO_FAST.replace("range(120)", "range(600)"), candidates=candidates)
    steps = [len(each.series.losses) for each in result.trials]
    first, last = steps[: len(candidates)], steps[len(candidates) :]
    assert max(first) < 200, "nobody goes to the end at once"
    assert steps.count(600) == 2
    assert set(last) <= {4 * max(first), 16 * max(first), 600}, steps
    assert result.proof.cause == "learning-rate"
    assert len(result.proof.winner.series.losses) == 600
