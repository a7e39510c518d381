"""The demo, as a new user runs it: the bare run really explodes, the watched one really does not."""

import json
import sys

import pytest


@pytest.mark.slow
def test_the_demo(runner):
    done = runner.bare(sys.executable, "-m", "steadygrad", "demo", "--json", "demo.json")
    assert done.returncode == 0, done.stderr
    numbers = json.loads((runner.folder / "demo.json").read_text())
    bare, watched = numbers["bare"], numbers["watched"]
    assert bare["first_nonfinite_step"] < bare["steps"] / 3
    assert bare["perplexity"] == "nan"
    assert watched["first_nonfinite_step"] is None
    assert watched["perplexity"] < 6
    assert watched["steps"] == bare["steps"]
    assert "recovered" in done.stderr
    assert (runner.folder / "demo" / "language-model.html").stat().st_size > 500_000
    assert "first non-finite" in done.stdout


def test_the_script_can_be_read(runner):
    done = runner.bare(sys.executable, "-m", "steadygrad", "demo", "--show")
    assert "class CharModel" in done.stdout
    assert "steadygrad" not in done.stdout
