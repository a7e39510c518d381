"""What every test may use: small real trainings, and a way to run a script under `steadygrad run`."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from steadygrad import _i18n

OF_A_FAMILY = 8
"""Of the slow tests that the parameters of one function make, one in so many is run for a change that lands."""

OF_A_FILE = 3
"""And of the functions of one file that make them, one in so many."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Three circles: what is run every day, what for every change that lands (`slow`), and all (`rare` too).

    What starts Python anew, or a browser, costs seconds before it does anything: a few of each kind are for every day
    (`smoke`). Of a product of many parameters it is one in so many (`one_in`).
    """
    _mark_slow(items)
    _mark_rare([item for item in items if item.get_closest_marker("slow")])


def _mark_slow(items):
    """What is slow although nobody has said so."""
    seen = Counter()
    for item in items:
        one_in = item.get_closest_marker("one_in")
        if one_in is not None:
            if seen[item.path, item.originalname] % one_in.args[0]:
                item.add_marker(pytest.mark.slow)
            seen[item.path, item.originalname] += 1
        marked = item.get_closest_marker("process") or item.get_closest_marker("ui")
        starts = marked or "runner" in getattr(item, "fixturenames", ())
        if starts and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.slow)


def _mark_rare(slow):
    """A sample of what is slow has to do for a landing: some of each file, and of each family of parameters."""
    counts = {}
    for item in slow:
        of_file = counts.setdefault(item.path, {})
        of_family = of_file.setdefault(item.originalname, 0)
        if list(of_file).index(item.originalname) % OF_A_FILE or of_family % OF_A_FAMILY:
            item.add_marker(pytest.mark.rare)
        of_file[item.originalname] += 1


def pytest_make_collect_report(collector):
    """Weights that a file draws while it is imported, among its parameters, are the same on every machine."""
    if isinstance(collector, pytest.Module):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _drawn_alike():
    """What a test draws depends on nothing that was run before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _english(monkeypatch):
    """Tests read what is said: in English, whatever the machine speaks."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if not os.environ.get(name, "").startswith(("en", "C")):
            monkeypatch.delenv(name, raising=False)
    _i18n.use("en")


@pytest.fixture(autouse=True)
def _nothing_stays_compiled():
    """What one test has compiled must not stand in the way of the next: passes of compiled code are not taped."""
    yield
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is not None and dynamo.eval_frame.cached_backends:
        dynamo.reset()


@pytest.fixture(autouse=True)
def _no_inherited_switches(monkeypatch):
    for name in ("STEADYGRAD", "STEADYGRAD_RUN", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    # Small models gain nothing from threads, and lose much where the machine is busy.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Ran:
    """A finished process, and the summary that was written about it."""

    status: int
    stdout: str
    stderr: str
    summary: dict[str, Any] | None
    folder: Path | None


class Runner:
    """Runs scripts bare and under `steadygrad run`, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, name: str = "train.py") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def bare(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **{"timeout": 240, **options})

    def watched(self, *arguments: str, env: dict[str, str] | None = None, **options: Any) -> Ran:
        result = self.folder / "out.json"
        result.unlink(missing_ok=True)
        done = self.bare(
            sys.executable, "-m", "steadygrad", "run", "--json", str(result), *arguments,
            env={**os.environ, **(env or {})}, **options,
        )  # fmt: skip
        summary = json.loads(result.read_text()) if result.exists() else None
        folder = self.folder / summary["run"] if summary else None
        return Ran(done.returncode, done.stdout, done.stderr, summary, folder)


@pytest.fixture
def runner(tmp_path):
    return Runner(tmp_path)
