"""`examples/temporal_order.py`: the task, and lengths that it refuses."""

import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "examples" / "temporal_order.py"


@pytest.mark.parametrize("length", ["5", "25", "0", "-10"])
def test_a_length_that_is_no_multiple_of_ten_is_refused(length, runner):
    done = runner.bare(sys.executable, str(SCRIPT), "--lengths", "10", length)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"temporal_order.py: --lengths {length}: expected multiples of 10, from 10 on\n"


@pytest.mark.parametrize("length", [10, 20, 50])
def test_the_class_says_which_symbol_came_first(example, length):
    symbols, classes = example.sequences(length, 500, torch.Generator().manual_seed(0))
    tenth = length // 10
    found = symbols < 2
    assert (found.sum(1) == 2).all(), "one A or B in the second tenth, one in the sixth, distractors elsewhere"
    assert found[:, tenth : 2 * tenth].sum(1).eq(1).all()
    assert found[:, 5 * tenth : 6 * tenth].sum(1).eq(1).all()
    first, second = symbols[found].view(-1, 2).unbind(1)
    assert torch.equal(classes, 2 * first + second)
    assert classes.unique().tolist() == [0, 1, 2, 3]


def test_with_an_orthogonal_matrix_it_learns(example, run, monkeypatch):
    """Model and task are right: what goes wrong by default is the first recurrent matrix."""
    monkeypatch.setattr(torch.nn.init, "normal_", torch.nn.init.orthogonal_)
    result = run("--steps", 600, "--lengths", 10, 20).splitlines()[-1]
    assert float(result.split("success rate ")[1].split(",")[0]) > 0.6
