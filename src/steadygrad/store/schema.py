"""The SQL of a recording, and how numbers are kept in it.

A row's `id` is `step * 64 + optimizer`, so that steps of one optimizer are a range and rows of one step are together.
SQLite stores a NaN as NULL; ours are stored as the text 'nan', so NULL keeps one meaning: not known.
Infinities are stored as they are. Vectors are float32 BLOBs, which keep every bit.
"""

from typing import Any

VERSION = 1
MAX_OPTIMIZERS = 64

TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE optimizers (idx INTEGER PRIMARY KEY, name TEXT NOT NULL, tensors TEXT NOT NULL);
CREATE TABLE steps (
  id INTEGER PRIMARY KEY, time REAL, loss REAL, lr REAL,
  grad_norm REAL, clipped_norm REAL, coefficient REAL, action TEXT
);
CREATE TABLE grad_norm (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE param_norm (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE update_ratio (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE actions (seq INTEGER PRIMARY KEY, step INTEGER, optimizer INTEGER, action TEXT, detail TEXT);
CREATE TABLE observations (seq INTEGER PRIMARY KEY, step INTEGER, optimizer INTEGER, kind TEXT, detail TEXT);
CREATE TABLE alarms (seq INTEGER PRIMARY KEY, step INTEGER, optimizer INTEGER, detector TEXT, detail TEXT);
"""

APPLICATION_ID = 0x53475244
"""Marks the file as ours ("SGRD"), so that a foreign SQLite file is told from a damaged one."""


def row_id(step: int, optimizer: int) -> int:
    """The id of the row of one step of one optimizer.

    >>> row_id(10, 1)
    641
    """
    return step * MAX_OPTIMIZERS + optimizer


def to_sql(value: float | None) -> Any:
    """A float as SQLite keeps it: NaN as text, None as NULL.

    >>> to_sql(float("nan")), to_sql(None), to_sql(1.5)
    ('nan', None, 1.5)
    """
    if value is None or value == value:
        return value
    return "nan"
