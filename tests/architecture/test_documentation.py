"""Doctests of every module, and the documentation's own claims about files and commands."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import steadygrad

ROOT = Path(__file__).parents[2]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(steadygrad.__path__, "steadygrad.")
    if "__main__" not in module.name and ".site" not in module.name
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_the_floors_in_the_architecture_page_are_those_that_are_checked():
    page = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = {
        path.stem
        for path in (ROOT / "src" / "steadygrad").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    for room in rooms - {"__init__", "__main__"}:
        assert room in page, f"ARCHITECTURE.md does not name {room}"


def test_pictures_and_pages_that_are_linked_exist():
    import re

    for page in [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/gallery/*.md"),
        ROOT / "ARCHITECTURE.md",
        ROOT / "CONTRIBUTING.md",
    ]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_nothing_names_a_network_host_to_install_from():
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/run"):
        assert "://" not in (ROOT / name).read_text()


def test_the_pages_of_the_causes_are_those_that_would_be_written():
    import subprocess
    import sys

    told = subprocess.run([sys.executable, "tools/cause_pages.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_index_of_the_gallery_and_the_pictures_in_the_readme_are_those_that_would_be_written():
    import subprocess
    import sys

    told = subprocess.run(
        [sys.executable, "tools/gallery_pages.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr
