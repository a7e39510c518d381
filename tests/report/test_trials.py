"""The page of some trials."""

import math

import pytest

from steadygrad.errors import RecordingError
from steadygrad.findings import Finding
from steadygrad.report import write_trials
from steadygrad.trials import Candidate, Series, Trial, prove

FALLING = Series([2.0 / (1 + step) for step in range(40)])
BROKEN = Series([2.0, 8.0, 90.0, 1e9, math.inf, math.nan])

CONTROLS = (Trial(None, BROKEN, number=1), Trial(None, BROKEN))
TRIALS = (
    Trial(Candidate("lower-learning-rate", ("learning-rate",), options={"factor": 0.1}), FALLING, 40, number=2),
    Trial(Candidate("leaky-relu", ("dead-units",)), BROKEN, 0, number=3),
    Trial(Candidate("warm-up", ("learning-rate",)), Series(()), error="<script>alert(1)</script>", number=4),
)
SAID = (Finding("learning-rate", 0.7, "SGD", "too fast", remedies=("lower-learning-rate",)),)


def page(tmp_path, trials=TRIALS, controls=CONTROLS, **options):
    path = tmp_path / "trials.html"
    write_trials(path, "train", controls, trials, prove(SAID, controls, trials), **options)
    return path.read_text(encoding="utf-8")


def test_it_has_the_proof_the_trials_and_the_change(tmp_path):
    change = {"says": "Go slower.", "code": "lr / 10", "line": "train.py:3", "diff": "-lr=1.0\n+lr=0.1\n"}
    text = page(tmp_path, change=change)
    for words in ("proven: learning-rate", "lower-learning-rate (factor 0.1)", "found nothing to change", "+lr=0.1"):
        assert words in text
    assert "nothing else does" in text
    assert text.count("too fast") == 1


def test_what_a_script_has_printed_is_no_markup(tmp_path):
    text = page(tmp_path)
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_its_policy_lets_nothing_be_loaded(tmp_path):
    text = page(tmp_path)
    assert "default-src &#39;none&#39;" in text


@pytest.mark.parametrize(
    "series",
    [
        Series(()),
        Series([math.nan] * 3),
        Series([-1.0, -2.0, -3.0]),
        Series([0.0, 0.0, 0.0]),
        Series([None, 1.0, None]),
    ],
    ids=["empty", "nan", "negative", "zero", "unknown"],
)
def test_any_losses_can_be_drawn(tmp_path, series):
    trial = Trial(Candidate("leaky-relu", ("dead-units",)), series, 1, number=2)
    assert "leaky-relu" in page(tmp_path, (trial,), (Trial(None, series, number=1),))


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(RecordingError, match="cannot write the report"):
        write_trials(tmp_path / "no" / "page.html", "train", CONTROLS, TRIALS, prove(SAID, CONTROLS, TRIALS))
