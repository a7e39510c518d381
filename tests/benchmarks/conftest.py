"""The scripts of benchmarks/papers are run as files, and import each other by name."""

from pathlib import Path

import pytest

PAPERS = Path(__file__).parents[2] / "benchmarks" / "papers"


@pytest.fixture(autouse=True)
def _papers_on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(PAPERS))
