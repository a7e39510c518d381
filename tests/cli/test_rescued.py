"""`steadygrad rescue` as a user calls it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tests.faulty_scripts import NO_TRAINING, SOUND, TOO_FAST

pytestmark = pytest.mark.slow


def command(*arguments):
    return [sys.executable, "-m", "steadygrad", "rescue", "--jobs", "2", *arguments]


def run(folder, *arguments, **options):
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, timeout=280, **options)


def test_it_prints_the_table_the_cause_and_the_diff(tmp_path):
    (tmp_path / "train.py").write_text(TOO_FAST)
    done = run(tmp_path, "--json", "out.json", "train.py", env={**os.environ, "COLUMNS": "140"})
    assert done.returncode == 0, done.stderr
    assert "proven: learning-rate" in done.stdout
    assert "-optimizer = torch.optim.SGD(net.parameters(), lr=4.0)" in done.stdout
    assert "each trial runs in a copy" in done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["schema"] == "steadygrad.rescue/1"
    assert found["cause"] == "learning-rate"
    assert found["findings"][0]["proven"] is True
    assert found["deterministic"] is True
    assert json.loads((tmp_path / found["run"] / "rescue.json").read_text()) == found
    mended = next(each for each in found["trials"] if each["mends"])
    assert mended["remedy"] == "lower-learning-rate"


def test_a_sound_script_has_nothing_to_rescue(tmp_path):
    (tmp_path / "train.py").write_text(SOUND)
    done = run(tmp_path, "train.py")
    assert done.returncode == 0
    assert "there is nothing to rescue" in done.stdout


def test_a_script_that_never_trains_is_said_in_one_line(tmp_path):
    (tmp_path / "train.py").write_text(NO_TRAINING)
    done = run(tmp_path, "train.py")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("steadygrad: the script has made no step of a training")
    assert "usage: train.py DATA" in last


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to run"),
        (["missing.py"], "no such script"),
        (["--budget", "0", "train.py"], "--budget"),
        (["--json", "no/such/out.json", "train.py"], "there is no folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, arguments, said):
    (tmp_path / "train.py").write_text(SOUND)
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_all_trials_and_keeps_what_was_measured(tmp_path):
    (tmp_path / "train.py").write_text(
        TOO_FAST.replace("    optimizer.step()", "    optimizer.step(); time.sleep(0.02)").replace(
            "import sys", "import sys, time"
        )
    )
    child = subprocess.Popen(
        command("--json", "out.json", "train.py"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # as in a terminal
    )  # fmt: skip
    limit = time.monotonic() + 120
    while time.monotonic() < limit and len(list(tmp_path.glob("runs/*/trials/*/trial.json"))) < 3:
        time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "ended by you; this is what was measured" in out
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["interrupted"] is True
    assert found["controls"]
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "steadygrad-trial" not in left
