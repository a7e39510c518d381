"""A full disk, a read-only or vanished folder, damaged files: they cost the recording, never the run."""

import os
import sqlite3
import subprocess
import sys

import pytest

import steadygrad as sg
from steadygrad.errors import NotARun, RecordingError, RunTooNew
from steadygrad.records import OptimizerInfo, StepRecord, TensorInfo
from steadygrad.store import Recorder, create_run

TRAIN = """
import os, resource, shutil, sys, time
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(*[nn.Linear(4, 4) for _ in range(40)])
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(400):
    loss = model(torch.randn(16, 4)).square().mean()
    if step == 300:
        loss = loss * float("nan")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step == 20:
        {at20}
print("final", repr(loss.item() == loss.item()), all(bool(p.isfinite().all()) for p in model.parameters()))
"""

BREAKAGES = {
    "full": "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))",
    "vanished": "shutil.rmtree(os.path.dirname(__file__) + '/runs')",
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_disk_that_fails_costs_the_recording_only(name, runner):
    runner.write(TRAIN.format(at20=BREAKAGES[name]))
    bare = runner.bare(sys.executable, "-c", TRAIN.format(at20="pass"))
    ran = runner.watched("train.py")
    assert bare.stdout == "final False False\n"
    assert ran.stdout == "final True True\n", "protection goes on without a recording"
    assert ran.status == 0
    assert ran.stderr.count("is interrupted, training goes on") == 1
    assert "Traceback" not in ran.stderr
    assert ran.summary["steps"] == (0 if name == "vanished" else pytest.approx(200, abs=199))
    assert ran.summary["verdict"] == "unobserved", "what was not recorded is not called healthy"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(runner):
    runner.write("print('ran')\n")
    (runner.folder / "taken").write_text("a file")
    ran = runner.watched("--out", "taken", "train.py")
    assert (ran.status, ran.stdout, ran.summary) == (2, "", None)
    assert len(ran.stderr.splitlines()) == 1
    assert "--out taken" in ran.stderr


def test_watch_without_a_writable_folder_still_protects(tmp_path, capfd):
    import torch

    (tmp_path / "taken").write_text("a file")
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sg.watch(model, optimizer, record=tmp_path / "taken") as watch:
        model(torch.full((1, 2), float("nan"))).sum().backward()
        optimizer.step()
    assert model.weight.isfinite().all()
    assert watch.run is None
    assert "recording is off, protection is on" in capfd.readouterr().err


def recorder(folder, name="rank0-1.db"):
    made = Recorder(folder / name, lambda line: None)
    made.optimizer(OptimizerInfo(0, "SGD", (TensorInfo("w", (2,), "float32"),)))
    return made


def record(made, step):
    made.step(StepRecord(0, step, 1.0, 0.5, 0.1, 1.0, 1.0, 1.0, ""), b"\0\0\x80\x3f")


def test_a_process_killed_inside_a_commit_leaves_a_readable_run(tmp_path):
    folder = create_run(tmp_path, "train", "protect", ())
    code = f"""
import os, sqlite3, sys
sys.path.insert(0, {os.getcwd()!r})
from pathlib import Path
from tests.faults.test_disk import record, recorder
made = recorder(Path({str(folder)!r}))
for step in range(50): record(made, step)
made.flush()
c = made._connection
c.execute("PRAGMA cache_size=1"); c.execute("BEGIN IMMEDIATE")
for step in range(20_000): c.execute("INSERT OR REPLACE INTO steps (id, loss) VALUES (?, ?)", (step, 9.0))
assert os.path.getsize(made._path) > 100_000 and os.path.exists(str(made._path) + "-journal")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (folder / "rank0-1.db-journal").exists()
    before = (folder / "rank0-1.db").read_bytes()
    steps = sg.open_run(folder).main.steps()
    assert list(steps.step) == list(range(50))
    assert set(steps.loss) == {0.5}
    assert (folder / "rank0-1.db").read_bytes() == before, "reading a run never changes it"


def test_a_reader_that_holds_the_file_does_not_hold_the_writer(tmp_path):
    folder = create_run(tmp_path, "train", "protect", ())
    made = recorder(folder)
    record(made, 0)
    made.flush()
    reader = sqlite3.connect(folder / "rank0-1.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM steps").fetchall()
    for step in range(1, 30):
        record(made, step)
    made.flush()
    assert len(sg.open_run(folder).main.steps()) == 1
    reader.execute("COMMIT")
    reader.close()
    made.close()
    assert len(sg.open_run(folder).main.steps()) == 30


def test_damaged_and_foreign_files(tmp_path):
    folder = create_run(tmp_path, "train", "protect", ())
    (folder / "rank0-1.db").write_bytes(b"not a database at all" * 300)
    with pytest.raises(RecordingError, match=r"rank0-1\.db"):
        sg.open_run(folder).summary()
    (folder / "rank0-1.db").unlink()
    foreign = sqlite3.connect(folder / "rank0-1.db")
    foreign.execute("CREATE TABLE t (x)")
    foreign.commit()
    foreign.close()
    with pytest.raises(RecordingError, match="not a steadygrad recording"):
        sg.open_run(folder).summary()


def test_folders_that_are_no_runs_and_runs_of_a_later_version(tmp_path):
    for make in (
        lambda: None,
        lambda: (tmp_path / "run.json").write_text("[]"),
        lambda: (tmp_path / "run.json").write_text("{"),
    ):
        make()
        with pytest.raises(NotARun, match="not a run folder"):
            sg.open_run(tmp_path)
    with pytest.raises(NotARun, match="no such folder"):
        sg.open_run(tmp_path / "nowhere")
    (tmp_path / "run.json").write_text('{"schema": "steadygrad.run/99"}')
    with pytest.raises(RunTooNew, match="upgrade"):
        sg.open_run(tmp_path)
