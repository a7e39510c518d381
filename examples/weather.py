"""Forecast the daily maximum temperature of Seattle one to seven days ahead, from the last 30 days of weather.

    python examples/weather.py
    python examples/weather.py --csv mine.csv --optimizer adam

An LSTM reads the month, and a linear autoregression beside it reads the last week, as in LSTNet (Lai et al., 2018).
Because the linear part lets a forecast follow the level of the temperature, degrees look as good as any unit, and this
script feeds everything as it was measured: millimetres, degrees, metres per second. Nothing is standardised, and with
a quite ordinary rate the training explodes.
"""

import argparse
import csv
import io
import math
import sys
from datetime import date, datetime
from pathlib import Path

import torch
from torch import nn

COLUMNS = ["precipitation", "temp_max", "temp_min", "wind"]
TARGET = COLUMNS.index("temp_max")
WINDOW, HORIZONS, YEAR = 30, 7, 365
RATES = {"sgd": 0.01, "adam": 0.3}


class Forecaster(nn.Module):
    """An LSTM over the whole window, and a linear autoregression on its last days."""

    def __init__(self, features: int, hidden: int = 64, last_days: int = 7) -> None:
        super().__init__()
        self.last_days = last_days
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, HORIZONS)
        self.autoregression = nn.Linear(last_days * features, HORIZONS)

    def forward(self, window):
        output, _ = self.lstm(window)
        return self.head(output[:, -1]) + self.autoregression(window[:, -self.last_days :].flatten(1))


def fail(message: str):
    print(f"weather.py: {message}", file=sys.stderr)
    raise SystemExit(2)


def seattle() -> tuple[list[date], torch.Tensor]:
    """The days 2012-2015, and their weather, shape (days, columns)."""
    try:
        from vega_datasets import local_data
    except ImportError:
        fail("needs vega_datasets: pip install 'steadygrad[demo]'  (or pip install vega_datasets)")
    table = local_data.seattle_weather()
    return list(table["date"].dt.date), torch.tensor(table[COLUMNS].to_numpy(), dtype=torch.float32)


def read_csv(path: str) -> tuple[list[date], torch.Tensor]:
    """The same of a file of your own: one row a day, in order, with a header that names the columns."""
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
        fail(f"{path}: is empty, expected a header with date, {', '.join(COLUMNS)}")
    (number, header), *rows = rows
    missing = [name for name in ["date", *COLUMNS] if name not in header]
    if missing:
        fail(f"{path}, row {number}: has no column {', '.join(missing)}, expected date, {', '.join(COLUMNS)}")
    days, values = [], []
    for number, row in rows:
        where = f"{path}, row {number}"
        if len(row) != len(header):
            fail(f"{where}: {len(row)} fields, expected {len(header)} as in the header")
        text = row[header.index("date")]
        try:
            day = datetime.strptime(text.replace("/", "-"), "%Y-%m-%d").date()
        except ValueError:
            fail(f"{where}: date {text!r}, expected YYYY-MM-DD")
        if days and (day - days[-1]).days != 1:
            fail(f"{where}: {day} follows {days[-1]}, expected one row a day, in order")
        days.append(day)
        values.append([number_of(row[header.index(name)], name, where) for name in COLUMNS])
    if len(days) < 2 * YEAR:
        fail(f"{path}: {len(days)} days, expected {2 * YEAR} or more: the last {YEAR} are held out")
    return days, torch.tensor(values)


def number_of(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return value if math.isfinite(value) else fail(f"{where}: {name} {text!r}, expected a number")


def windows(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All windows of days, and the temperatures that follow; pair i forecasts from day WINDOW + i on."""
    inputs = values.unfold(0, WINDOW, 1).transpose(1, 2)
    targets = values[WINDOW:, TARGET].unfold(0, HORIZONS, 1)
    return inputs[: len(targets)], targets


def climatology(days: list[date], temperature: torch.Tensor, known: int) -> torch.Tensor:
    """For each day the mean of the days around it in the year, among the `known` first ones."""
    place = torch.tensor([day.timetuple().tm_yday for day in days])
    distance = (place[:, None] - place[:known]).abs()
    near = (torch.minimum(distance, 366 - distance) <= 15).float()
    return near @ temperature[:known] / near.sum(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Forecast daily maximum temperatures with an LSTM, from raw units.")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--optimizer", choices=sorted(RATES), default="sgd", help="sgd: momentum 0.9, cosine decay")
    parser.add_argument("--lr", type=float, help=f"default: {RATES}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--csv", metavar="FILE", help=f"other weather: a row a day, columns date, {', '.join(COLUMNS)}")
    args = parser.parse_args()
    lr = RATES[args.optimizer] if args.lr is None else args.lr
    if args.steps < 1 or args.log_every < 1 or args.batch < 1 or not 0 <= lr < math.inf:
        parser.error("--steps, --log-every and --batch have to be 1 or more, --lr a number from 0 on")

    torch.manual_seed(args.seed)
    days, values = read_csv(args.csv) if args.csv else seattle()
    # The line that is missing here, for `values`: (values - values[:known].mean(0)) / values[:known].std(0)
    known = len(days) - YEAR
    inputs, targets = windows(values)
    # The targets of training windows end before the held-out year; those of the others begin in it.
    trained, held_out = known - WINDOW - HORIZONS + 1, known - WINDOW

    model = Forecaster(len(COLUMNS))
    if args.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1)
    for step in range(1, args.steps + 1):
        chosen = torch.randint(trained, (args.batch,))
        loss = nn.functional.mse_loss(model(inputs[chosen]), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % args.log_every == 0 or step == args.steps:
            print(f"step {step}/{args.steps}  loss {loss.item():.4f}  lr {schedule.get_last_lr()[0]:g}", flush=True)
        schedule.step()

    with torch.no_grad():
        forecast, truth = model(inputs[held_out:]), targets[held_out:]
    normal = climatology(days, values[:, TARGET], known)[WINDOW:].unfold(0, HORIZONS, 1)[held_out:]
    today = inputs[held_out:, -1:, TARGET]
    error, of_today, of_normal = ((guess - truth).square().mean(0) for guess in (forecast, today, normal))
    # Skill as meteorologists define it: 1 is perfect, 0 as good as the reference, below it worse.
    print(
        f"result: skill over persistence {(1 - error / of_today).mean():.4f},"
        f" skill over climatology {(1 - error / of_normal).mean():.4f},"
        f" RMSE one day ahead {error[0].sqrt():.4f}, RMSE seven days ahead {error[-1].sqrt():.4f}"
    )


if __name__ == "__main__":
    main()
