"""`examples/finance.py`: what it reads, what it refuses, and that it never sees the future."""

import math
from datetime import date, timedelta

import pytest
import torch

HEADER = "symbol,date,price"


def prices(count, change=None):
    """Rows of a CSV; `change` gives other text for some of them."""
    start = date(2010, 1, 1)
    rows = [f"AB,{start + timedelta(30 * place)},{20 + 3 * math.sin(place)}" for place in range(count)]
    for place, row in (change or {}).items():
        rows[place] = row
    return "\n".join([HEADER, *rows]).encode()


BAD = {
    "missing": (None, ": cannot be read: No such file or directory"),
    "empty": (b"", ": is empty, expected a header with symbol, date, price"),
    "not UTF-8": (prices(3) + b"\n\xe1", ", row 5: is not UTF-8 text"),
    "a column missing": (
        prices(3).replace(b"price", b"close"),
        ", row 1: has no column price, expected symbol, date, price",
    ),
    "a field too few": (prices(9, {4: "AB,2020-01-05"}), ", row 6: 2 fields, expected 3 as in the header"),
    "no number": (prices(9, {0: "AB,2010-01-01,much"}), ", row 2: price 'much', expected a number above 0"),
    "a price of nothing": (prices(9, {0: "AB,2010-01-01,0"}), ", row 2: price '0', expected a number above 0"),
    "NaN": (prices(9, {0: "AB,2010-01-01,nan"}), ", row 2: price 'nan', expected a number above 0"),
    "no date": (prices(9, {1: "AB,yesterday,3"}), ", row 3: date 'yesterday', expected YYYY-MM-DD"),
    "back in time": (
        prices(9, {1: "AB,2009-12-01,3"}),
        ", row 3: 2009-12-01 follows 2010-01-01, expected the rows of AB in order of time",
    ),
    "too short": (prices(40), ": too few prices, expected 64 dates or more"),
    "a window too short": (prices(5), ": too few prices, expected 64 dates or more"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line(refused, kind):
    content, message = BAD[kind]
    assert refused("--csv", content) == message


def test_a_csv_of_ones_own_is_read(run, tmp_path):
    (tmp_path / "mine.csv").write_bytes(prices(120))
    assert run("--csv", tmp_path / "mine.csv", "--steps", 8).splitlines()[-1].startswith("result: skill over random")


def test_what_follows_a_window_is_its_target(example):
    start = date(2000, 1, 1)
    rows = [("AB", start + timedelta(place), math.exp(place**2 / 1e4)) for place in range(40)]
    late = [("CD", start + timedelta(place), 5.0) for place in range(20, 40)]
    made = example.samples(rows + late)
    assert made.windows.shape == (27 + 7, example.WINDOW, 1)
    returns = [100 * ((place + 1) ** 2 - place**2) / 1e4 for place in range(39)]
    assert made.windows[0, :, 0].tolist() == pytest.approx(returns[:12], rel=1e-4)
    assert made.targets[:27].tolist() == pytest.approx(returns[12:], rel=1e-4)
    assert made.places[0] == 13, "the return of places 12 to 13 is known at place 13"
    assert made.places[27:].tolist() == list(range(33, 40)), "dates are those of all symbols together"
    assert made.targets[27:].tolist() == [0.0] * 7


def test_five_stocks(example):
    rows = example.stocks()
    assert len(rows) == 560
    assert {symbol for symbol, _, _ in rows} == {"AAPL", "AMZN", "GOOG", "IBM", "MSFT"}
    made = example.samples(rows)
    assert made.windows.shape == (560 - 5 * 13, 12, 1)
    assert 8 < made.targets.std() < 16, "in percent"


def test_nothing_is_known_of_what_comes(run, example, monkeypatch):
    """Other prices from the third stretch on change nothing before it is forecast."""
    rows = example.stocks()
    days = sorted({day for _, day, _ in rows})
    first = days[round(len(days) * 0.8)]
    other = [(symbol, day, price * (1.0 if day < first else 2.0)) for symbol, day, price in rows]
    words = ("--steps", 8, "--log-every", 1, "--lr", 0.001)
    losses = run(*words).splitlines()
    monkeypatch.setattr(example, "stocks", lambda: other)
    changed = run(*words).splitlines()
    assert changed[:6] == losses[:6], "the first three stretches are trained on what came before them"
    assert changed[6:] != losses[6:]


def test_the_likelihood_is_that_of_a_normal_distribution(example):
    mean, volatility, target = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.3]), torch.tensor([1.5, -0.8])
    expected = -torch.distributions.Normal(mean, volatility).log_prob(target)
    assert torch.allclose(example.negative_log_likelihood(mean, volatility.log(), target), expected)


def test_at_a_sound_rate_it_is_as_good_as_a_random_walk(run):
    """Model and measures are right: what goes wrong by default is the rate, for targets as large as these."""
    result = run("--lr", 0.002).splitlines()[-1]
    skill, gain = (float(part.rsplit(" ", 1)[1]) for part in result.split(", ")[:2])
    assert skill == pytest.approx(0.0, abs=0.03)
    assert gain == pytest.approx(0.0, abs=0.15)
