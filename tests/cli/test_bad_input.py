"""Bad input: one line that says what and how to mend it, exit status 2, nothing half written."""

import sys

import pytest

pytestmark = pytest.mark.smoke

CASES = {
    "no script": (["nope.py"], "no such script: nope.py"),
    "nothing": ([], "nothing to run"),
    "a folder": (["sub"], "is a folder without __main__.py: sub"),
    "a command": (["echo", "x"], "steadygrad run -- echo"),
    "not python": (["data.csv"], "not a Python script: data.csv"),
    "no module": (["-m", "nosuch.module"], "no such module: nosuch.module"),
    "no submodule": (["-m", "json.nosuch"], "no such module: json.nosuch"),
    "module without name": (["-m"], "-m needs the name"),
    "no command": (["--", "no-such-command-here"], "no such command: no-such-command-here"),
    "command without name": (["--"], "nothing to run after --"),
    "unknown option": (["--bogus", "train.py"], "--bogus"),
    "unknown mode": (["--mode", "hope", "train.py"], "'hope' is not one of"),
    "unknown remedy": (["--remedy", "warm-upp", "train.py"], "no remedy is called 'warm-upp': did you mean warm-up?"),
    "remedy for the code": (["--remedy", "qk-norm", "train.py"], "qk-norm can only be made in the code"),
    "remedy's option": (["--remedy", "warm-up:step=3", "train.py"], "no option 'step' (it has: steps=100, total=0)"),
    "remedy's number": (["--remedy", "warm-up:steps=x", "train.py"], "steps is 'x', expected a number such as 100"),
    "report in no folder": (["--report", "no/where.html", "train.py"], "there is no folder no"),
    "report is a folder": (["--report", "sub", "train.py"], "is a folder"),
    "report piped": (["--report", "-", "train.py"], "--report -: is a page, not text to be piped; name a file"),
    "out below a file": (["--out", "data.csv/runs", "train.py"], "--out data.csv/runs"),
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_status_2(name, runner):
    arguments, told = CASES[name]
    runner.write("print('ran')\n")
    runner.write("1,2\n", "data.csv")
    (runner.folder / "sub").mkdir()
    before = sorted(runner.folder.rglob("*"))
    ran = runner.watched(*arguments)
    assert (ran.status, ran.stdout, ran.summary) == (2, "", None)
    assert told in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert sorted(runner.folder.rglob("*")) == before


def test_json_that_cannot_be_written_is_refused_before_the_script_runs(runner):
    runner.write("print('ran')\n")
    done = runner.bare(sys.executable, "-m", "steadygrad", "run", "--json", "no/where.json", "train.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert not (runner.folder / "runs").exists()


@pytest.mark.parametrize("command", ["run", "check", "rescue"])
def test_a_script_that_an_option_has_taken_for_its_file_is_not_written_over(runner, command):
    path = runner.write("print('ran')\n")
    done = runner.bare(sys.executable, "-m", "steadygrad", command, "--json", "train.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--json train.py: is a script" in done.stderr
    assert path.read_text() == "print('ran')\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["report", "nowhere"], "no such folder"),
        (["report", "."], "not a run folder"),
        (["report", "new"], "upgrade steadygrad"),
        (["runs", "nowhere"], "no such folder: nowhere"),
        (["bogus"], "No such command 'bogus'"),
        (["demo", "bogus"], "no demo is called 'bogus'"),
    ],
)
def test_the_other_commands(arguments, told, runner):
    runner.write('{"schema": "steadygrad.run/2"}', "new/run.json")
    done = runner.bare(sys.executable, "-m", "steadygrad", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(runner.folder.glob("**/*.html"))
