"""A loss that is driven up by nothing but its learning rate: no gradient stands out, and no step of Adam's is long."""

import re
import sys
from pathlib import Path
from statistics import median

import pytest

from steadygrad import open_run

SCRIPT = str(Path(__file__).parents[2] / "examples" / "language_model.py")
WORDS = ("--optimizer", "adam", "--seed", "1", "--steps", "160", "--log-every", "1")


def losses(printed):
    return [float(loss) for loss in re.findall(r"loss (\S+)", printed)]


@pytest.mark.slow
def test_it_is_taken_back_to_before_it_at_a_rate_that_it_bears(runner):
    bare = losses(runner.bare(sys.executable, SCRIPT, *WORDS).stdout)
    assert min(bare[-20:]) > 2 * bare[0], "the run is not lost"
    ran = runner.watched(SCRIPT, *WORDS)
    kept = losses(ran.stdout)
    assert max(kept[-20:]) < kept[0] == bare[0]
    done = {each["action"]: each["detail"] for each in ran.summary["actions"]}
    back = done["roll-back"]["to"]
    assert bare[back] < bare[0] or back == 0, "what it goes back to is lost already"
    assert done["lower-lr"]["factor"] <= 0.1
    run = open_run(ran.folder)
    assert run.verdict == "recovered"
    assert run.findings()[0].cause == "learning-rate"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
def test_what_comes_apart_after_it_has_learned_and_what_never_begins_both_end_below_the_start(seed, runner):
    """A hundred steps go well, and then a clip holds nothing; or the loss is above its start from the first steps on."""
    words = ("--optimizer", "adam", "--seed", str(seed), "--steps", "340", "--log-every", "1")
    bare = losses(runner.bare(sys.executable, SCRIPT, *words).stdout)
    assert median(bare[-20:]) > 2 * bare[0], "the run is not lost"
    ran = runner.watched(SCRIPT, *words)
    kept = losses(ran.stdout)
    assert median(kept[-20:]) < kept[0] == bare[0]
    done = [each["action"] for each in ran.summary["actions"]]
    assert "roll-back" in done
    assert "lower-lr" in done
