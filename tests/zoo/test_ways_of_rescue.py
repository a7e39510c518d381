"""How the zoo is rescued: what counts as rescued, and one script that really is, in mode `repair`."""

import json
import math

import pytest
from zoo.rescued import WAYS, Rescued, _is_rescued, _last_losses, can_be_rescued, rescue, table
from zoo.scripts import find

TOO_FAST = next(script for script in find(["regression_high_lr"]))


def test_what_can_be_rescued_is_known_before_anything_is_measured():
    able = {way: sum(can_be_rescued(script, way) for script in find() if script.causes) for way in WAYS}
    assert min(able.values()) > 80, able
    assert not any(can_be_rescued(script, way) for script in find() if not script.causes for way in WAYS)


def test_the_table_has_shares_of_what_can_be_and_of_all():
    told = table(
        [
            Rescued(
                "a", ("init-gain",), 0.1, 1.0, 2.0, {"repair": 0.1}, {"repair": True}, seconds={"repair": 3.0},
                can_be={"repair": True},
            ),
            Rescued(
                "b", ("no-cause",), 0.1, 1.0, 2.0, {"repair": math.nan}, {"repair": False}, seconds={"repair": 3.0},
                can_be={"repair": False},
            ),
        ],
        ("repair",),
    )  # fmt: skip
    assert "repair: rescued 1 of 1 that can be (100%), 1 of 2 in all; 1.5 times the fixed run" in told


@pytest.mark.parametrize(
    ("final", "is_rescued"), [(0.1, True), (0.18, True), (0.3, False), (0.0, True), (-2.4e3, False)]
)
def test_what_lies_far_below_the_fixed_run_has_run_away(final, is_rescued):
    """Of a run from 1.0, whose fixed form ends at 0.1."""
    outcome = Rescued("a", ("weight-growth",), fixed=0.1, start=1.0)
    assert _is_rescued(outcome, final, 1.0, in_units=True) == is_rescued


@pytest.mark.process
def test_a_script_is_rescued_in_mode_repair():
    outcome = rescue(TOO_FAST, ("repair",), 1)
    assert not outcome.error
    assert outcome.rescued == {"repair": True}
    assert outcome.seconds["repair"] > 0 < outcome.bare_seconds


def test_where_a_script_prints_no_loss_it_is_that_of_the_training_with_most_steps(tmp_path):
    rows = [{"optimizer": 0, "loss": "9.0"}] * 3 + [{"optimizer": 1, "loss": repr(30.0 - k)} for k in range(30)]
    (tmp_path / "bare.json").write_text(json.dumps(rows))
    assert _last_losses(tmp_path / "bare.json") == pytest.approx(sum(range(1, 21)) / 20)
    assert _last_losses(tmp_path / "nothing.json") is None
