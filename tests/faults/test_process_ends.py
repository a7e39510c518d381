"""Whatever ends the child: its output and status are its own, and the verdict and the JSON are there."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import steadygrad as sg

TRAIN = """
import os, signal, sys, time
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range({steps}):
    loss = model(torch.randn(16, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    {inside}
print("final", repr(loss.item()))
{ending}
"""


def script(ending="", inside="pass", steps=40):
    return TRAIN.format(ending=ending, inside=inside, steps=steps)


ENDINGS = {
    "return": ("", 0, "healthy", None),
    "exception": ("raise ValueError('the data are gone')", 1, "crashed", None),
    "sys.exit": ("sys.exit(7)", 7, "crashed", None),
    "os._exit": ("sys.stdout.flush(); os._exit(3)", 3, "crashed", None),
    "os._exit(0)": ("sys.stdout.flush(); os._exit(0)", 0, "healthy", None),
    "SIGTERM": (
        "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        -15,
        "crashed",
        "SIGTERM",
    ),
    "SIGKILL": (
        "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL); time.sleep(9)",
        -9,
        "crashed",
        "SIGKILL",
    ),
    "SIGSEGV": (
        "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGSEGV); time.sleep(9)",
        -11,
        "crashed",
        "SIGSEGV",
    ),
}


OFTEN = {"return", "exception", "SIGTERM"}
"""Endings that are tried with the fast tests, too."""


@pytest.mark.parametrize(
    "name", [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in ENDINGS]
)
def test_every_ending_leaves_verdict_and_status(name, runner):
    ending, status, verdict, signal_name = ENDINGS[name]
    runner.write(script(ending))
    bare = runner.bare(sys.executable, "train.py")
    ran = runner.watched("train.py")
    assert (bare.returncode, ran.status) == (status, status)
    assert ran.stdout == bare.stdout
    assert ran.summary["verdict"] == verdict
    assert ran.summary["exit"]["status"] == status
    assert ran.summary["exit"]["signal"] == signal_name
    assert ran.summary["steps"] >= 31, "the steps before the end are there, all but those of the last second"
    if name == "exception":
        assert "ValueError: the data are gone" in ran.summary["reason"]
        assert "Traceback" in ran.stderr


def test_the_last_second_at_most_is_lost_to_kill_9(runner):
    runner.write(script(inside="time.sleep(0.02); print(step, flush=True)", steps=10_000))
    process = subprocess.Popen(
        [sys.executable, "-m", "steadygrad", "run", "train.py"],
        cwd=runner.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.time() + 60
    seen = 0
    while seen < 150 and time.time() < deadline:
        seen = int(process.stdout.readline())
    (db,) = runner.folder.glob("runs/*/rank0-*.db")
    os.kill(int(db.stem.split("-")[1]), signal.SIGKILL)
    rest = process.communicate(timeout=60)[0].split()
    last = int(rest[-1]) if rest else seen
    assert process.returncode == -9
    steps = sg.open_run(db.parent).main.steps()
    assert len(steps) > last - 100
    assert steps.time[-1] > db.parent.stat().st_mtime - 60
    copy = runner.folder / "copied"
    copy.mkdir()
    for name in ("run.json", db.name):
        (copy / name).write_bytes((db.parent / name).read_bytes())
    assert len(sg.open_run(copy).main.steps()) == len(steps), "one file, copied alone, is complete"


def interrupted(command, number, runner):
    """A process that gets a signal in the middle of its training: status, output, errors."""
    process = subprocess.Popen(
        command, cwd=runner.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while int(process.stdout.readline()) < 20:
        pass
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGTERM, signal.SIGUSR1))],
)
@pytest.mark.smoke
def test_signals_are_passed_on(number, runner):
    handler = "signal.signal(signal.SIGUSR1, lambda *_: (print('usr1', flush=True), sys.exit(5)))"
    runner.write(script(inside=f"{handler}; time.sleep(0.02); print(step, flush=True)", steps=5_000))
    bare, _, _ = interrupted([sys.executable, "train.py"], number, runner)
    watched = [sys.executable, "-m", "steadygrad", "run", "--json", "out.json", "train.py"]
    status, out, err = interrupted(watched, number, runner)
    # Of a KeyboardInterrupt Python makes -2 or 1, by what torch has imported; a script's status is its own.
    assert status == bare
    assert status in {signal.SIGTERM: (-15,), signal.SIGINT: (-2, 1), signal.SIGUSR1: (5,)}[number]
    assert ("usr1" in out) == (number == signal.SIGUSR1)
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
    assert '"verdict": "crashed"' in (runner.folder / "out.json").read_text()


def test_the_recording_is_read_while_it_is_written(runner):
    runner.write(script(inside="time.sleep(0.01); print(step, flush=True)", steps=400))
    process = subprocess.Popen(
        [sys.executable, "-m", "steadygrad", "run", "train.py"],
        cwd=runner.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    while int(process.stdout.readline()) < 150:
        pass
    (folder,) = (runner.folder / "runs").iterdir()
    lengths = []
    for _ in range(50):
        lengths.append(len(sg.open_run(folder).main.steps()))
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert lengths == sorted(lengths)
    assert lengths[0] > 0
    assert len(sg.open_run(folder).main.steps()) == 400


@pytest.mark.parametrize("by", ["run", "watch"])
def test_no_model_is_held_past_the_end_of_the_interpreter(runner, by):
    """A wrapper of ranks holds its process group, and threads of one that outlives the interpreter abort the process."""
    runner.write(
        textwrap.dedent(
            """
            import os, sys, torch
            from torch import nn
            import steadygrad as sg
            class Net(nn.Linear):
                def __del__(self, write=os.write):
                    write(1, b"gone")
            model = Net(4, 1)
            model.itself = [model]  # in a cycle, as such wrappers are
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            if sys.argv[1] == "watch":
                watch = sg.watch(model, optimizer, record=False)
            for _ in range(4):
                model(torch.ones(2, 4)).sum().backward()
                optimizer.step()
            """
        )
    )
    if by == "run":
        assert runner.watched("train.py", by).stdout == "gone"
    else:
        assert runner.bare(sys.executable, "train.py", by).stdout == "gone"
