"""Forecast next month's return of five stocks, and how uncertain it is, walking forward through ten years.

    python examples/finance.py
    python examples/finance.py --csv prices.csv --optimizer adam

An LSTM reads the returns of a year and gives a mean and a volatility; it is trained on the likelihood of what came. As
in real use it never sees the future: it is trained on all months so far, forecasts a stretch of months, is trained on
these as well, and so on. Returns are in percent, as traders write them, and targets as large as that are not
standardised: where they were far from their forecast the loss is steep, and the training explodes.
"""

import argparse
import csv
import io
import math
import sys
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

WINDOW, FOLDS, KNOWN = 12, 4, 0.6
"""Months that are read; stretches that are forecast one after the other; what comes before the first of them."""

COLUMNS = ["symbol", "date", "price"]
RATES = {"sgd": 0.03, "adam": 0.3}


class Forecaster(nn.Module):
    """The mean of the next return and the logarithm of its volatility."""

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, returns):
        output, _ = self.lstm(returns)
        return self.head(output[:, -1]).unbind(1)


class Samples(NamedTuple):
    """Windows of returns (N, WINDOW, 1), the return after each (N,), and its place among all dates (N,)."""

    windows: torch.Tensor
    targets: torch.Tensor
    places: torch.Tensor


def negative_log_likelihood(mean, log_volatility, target):
    """Of a normal distribution, for each target."""
    return log_volatility + 0.5 * ((target - mean) / log_volatility.exp()).square() + 0.5 * math.log(2 * math.pi)


def fail(message: str):
    print(f"finance.py: {message}", file=sys.stderr)
    raise SystemExit(2)


def stocks() -> list[tuple[str, date, float]]:
    """Symbol, month and price of AAPL, AMZN, GOOG, IBM and MSFT from 2000 to 2010."""
    try:
        from vega_datasets import local_data
    except ImportError:
        fail("needs vega_datasets: pip install 'steadygrad[demo]'  (or pip install vega_datasets)")
    table = local_data.stocks()
    return list(zip(table["symbol"], table["date"].dt.date, table["price"].astype(float), strict=True))


def read_csv(path: str) -> list[tuple[str, date, float]]:
    """The same of a file of your own: a row a price, with a header; the rows of a symbol in order of time."""
    try:
        content = Path(path).read_bytes()
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        rows = [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        fail(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        fail(f"{path}, row {content[: error.start].count(10) + 1}: is not UTF-8 text")
    except csv.Error as error:
        fail(f"{path}, row {reader.line_num}: is not CSV: {error}")
    if not rows:
        fail(f"{path}: is empty, expected a header with {', '.join(COLUMNS)}")
    (number, header), *rows = rows
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        fail(f"{path}, row {number}: has no column {', '.join(missing)}, expected {', '.join(COLUMNS)}")
    prices, last = [], {}
    for number, row in rows:
        where = f"{path}, row {number}"
        if len(row) != len(header):
            fail(f"{where}: {len(row)} fields, expected {len(header)} as in the header")
        symbol, day, price = (row[header.index(name)] for name in COLUMNS)
        try:
            when = datetime.strptime(day.replace("/", "-"), "%Y-%m-%d").date()
        except ValueError:
            fail(f"{where}: date {day!r}, expected YYYY-MM-DD")
        try:
            value = float(price)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            fail(f"{where}: price {price!r}, expected a number above 0")
        if symbol in last and when <= last[symbol]:
            fail(f"{where}: {when} follows {last[symbol]}, expected the rows of {symbol} in order of time")
        last[symbol] = when
        prices.append((symbol, when, value))
    return prices


def samples(prices: list[tuple[str, date, float]]) -> Samples:
    """All windows of logarithmic returns in percent, symbol by symbol, each with the return that follows."""
    places = {day: place for place, day in enumerate(sorted({day for _, day, _ in prices}))}
    windows, targets, when = [], [], []
    for symbol in sorted({symbol for symbol, _, _ in prices}):
        days = [places[day] for name, day, _ in prices if name == symbol]
        price = torch.tensor([price for name, _, price in prices if name == symbol], dtype=torch.float64)
        returns = 100 * price.log().diff()
        # The line that is missing here: returns = returns / returns[:known].std()
        if len(returns) > WINDOW:
            windows.append(returns[:-1].unfold(0, WINDOW, 1))
            targets.append(returns[WINDOW:])
            when += days[WINDOW + 1 :]
    if not windows:
        return Samples(torch.empty(0, WINDOW, 1), torch.empty(0), torch.empty(0, dtype=torch.long))
    return Samples(torch.cat(windows).unsqueeze(2).float(), torch.cat(targets).float(), torch.tensor(when))


def main() -> None:
    parser = argparse.ArgumentParser(description="Forecast stock returns with an LSTM, walking forward in time.")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--optimizer", choices=sorted(RATES), default="sgd", help="sgd: with momentum 0.9")
    parser.add_argument("--lr", type=float, help=f"default: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--csv", metavar="FILE", help=f"other prices: a header and the columns {', '.join(COLUMNS)}")
    args = parser.parse_args()
    lr = RATES[args.optimizer] if args.lr is None else args.lr
    if args.steps < 1 or args.log_every < 1 or args.batch < 1 or not 0 <= lr < math.inf:
        parser.error("--steps, --log-every and --batch have to be 1 or more, --lr a number from 0 on")

    torch.manual_seed(args.seed)
    windows, targets, places = samples(read_csv(args.csv) if args.csv else stocks())
    # The dates at which a stretch begins, and after the last of them the end.
    last = int(places.max()) + 1 if len(places) else 0
    starts = [round(last * (KNOWN + (1 - KNOWN) * fold / FOLDS)) for fold in range(FOLDS + 1)]
    spans = [((places < start).nonzero()[:, 0], (places >= start) & (places < end)) for start, end in pairwise(starts)]
    if any(len(known) < args.batch or not coming.any() for known, coming in spans):
        fail(f"{args.csv}: too few prices, expected {2 * args.batch} dates or more")

    model = Forecaster()
    if args.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    step, errors, walks, gains = 0, [], [], []
    for fold, (known, coming) in enumerate(spans):
        while step < args.steps * (fold + 1) // FOLDS:
            chosen = known[torch.randint(len(known), (args.batch,))]
            mean, log_volatility = model(windows[chosen])
            loss = negative_log_likelihood(mean, log_volatility, targets[chosen]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % args.log_every == 0 or step == args.steps:
                print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {lr:g}", flush=True)
        with torch.no_grad():
            mean, log_volatility = model(windows[coming])
        truth, usual = targets[coming], targets[known].std().log()
        errors.append((mean - truth).square())
        # A random walk: the best guess of tomorrow's price is today's; its volatility is what it has been so far.
        walks.append(truth.square())
        gains.append(
            negative_log_likelihood(torch.zeros(()), usual, truth)
            - negative_log_likelihood(mean, log_volatility, truth)
        )
    error, walk, gain = (torch.cat(each).mean() for each in (errors, walks, gains))
    # Skill: 1 is perfect, 0 as good as a random walk, below it worse. The gain is of the likelihood, in nats a month.
    print(
        f"result: skill over random walk {1 - error / walk:.4f}, likelihood gain {gain:.4f},"
        f" RMSE in percent {error.sqrt():.4f}, random walk RMSE in percent {walk.sqrt():.4f}"
    )


if __name__ == "__main__":
    main()
