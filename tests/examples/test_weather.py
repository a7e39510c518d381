"""`examples/weather.py`: what it reads, what it refuses."""

from datetime import date, timedelta

import pytest
import torch

HEADER = "date,precipitation,temp_max,temp_min,wind"


def days(count, change=None):
    """Rows of a CSV; `change` gives other text for some of them."""
    start = date(2020, 1, 1)
    rows = [f"{start + timedelta(place)},0.5,{10 + place % 7},{place % 5},3.1" for place in range(count)]
    for place, row in (change or {}).items():
        rows[place] = row
    return "\n".join([HEADER, *rows]).encode()


BAD = {
    "missing": (None, ": cannot be read: No such file or directory"),
    "empty": (b"", ": is empty, expected a header with date, precipitation, temp_max, temp_min, wind"),
    "not UTF-8": (days(3) + b"\n\xe1", ", row 5: is not UTF-8 text"),
    "a column missing": (
        days(3).replace(b"wind", b"gusts"),
        ", row 1: has no column wind, expected date, precipitation, temp_max, temp_min, wind",
    ),
    "a field too few": (days(9, {4: "2020-01-05,0.5,1,2"}), ", row 6: 4 fields, expected 5 as in the header"),
    "no number": (days(9, {0: "2020-01-01,much,1,2,3"}), ", row 2: precipitation 'much', expected a number"),
    "NaN": (days(9, {0: "2020-01-01,0,nan,2,3"}), ", row 2: temp_max 'nan', expected a number"),
    "no date": (days(9, {1: "yesterday,0,1,2,3"}), ", row 3: date 'yesterday', expected YYYY-MM-DD"),
    "a gap": (
        days(9, {1: "2020-01-03,0,1,2,3"}),
        ", row 3: 2020-01-03 follows 2020-01-01, expected one row a day, in order",
    ),
    "too short": (days(100), ": 100 days, expected 730 or more: the last 365 are held out"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(refused, kind):
    content, message = BAD[kind]
    assert refused("--csv", content) == message


def test_a_csv_of_ones_own_is_read(run, tmp_path):
    (tmp_path / "mine.csv").write_bytes(days(800))
    assert run("--csv", tmp_path / "mine.csv", "--steps", 4).splitlines()[-1].startswith("result: skill over")


def test_seattle(example):
    calendar, values = example.seattle()
    assert values.shape == (1461, 4)
    assert (calendar[0], calendar[-1]) == (date(2012, 1, 1), date(2015, 12, 31))
    assert values.isfinite().all()


def test_a_window_is_followed_by_its_targets(example):
    values = torch.arange(400.0).repeat_interleave(4).view(100 * 4, 4)
    inputs, targets = example.windows(values)
    assert inputs.shape == (len(targets), example.WINDOW, 4)
    assert (inputs[:, -1, 0] + 1 == targets[:, 0]).all(), "the day after the window"
    assert (targets.diff(dim=1) == 1).all()


def test_the_climatology_knows_nothing_of_the_held_out_year(example):
    calendar, values = example.seattle()
    known = len(calendar) - example.YEAR
    other = values[:, example.TARGET].clone()
    other[known:] += 1000.0
    normal = example.climatology(calendar, values[:, example.TARGET], known)
    assert torch.equal(example.climatology(calendar, other, known), normal)


def test_at_a_sound_rate_it_has_skill(run):
    """Model and measures are right: what goes wrong by default is the rate, for units as raw as these."""
    result = run("--lr", 0.0003, "--steps", 600).splitlines()[-1]
    persistence, climatology = (float(part.rsplit(" ", 1)[1]) for part in result.split(", ")[:2])
    assert 0.15 < persistence < 0.5
    assert 0.0 < climatology < 0.4
