"""The public names, and what must not be imported where."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import steadygrad

SOURCE = Path(steadygrad.__file__).parent

PUBLIC = {
    *("SteadygradError", "TrainingDiverged", "Watch", "check", "open_run", "try_remedies", "watch", "write_report"),
    *("clip", "init", "measure", "penalty", "schedule"),
}
COMMANDS = {"check", "demo", "diagnose", "explain", "report", "rescue", "run", "runs"}
RUN_OPTIONS = {
    "--help",
    "--json",
    "--keep-batch",
    "--lang",
    "--mode",
    "--out",
    "--quiet",
    "--remedy",
    "--report",
    "--snapshot-memory",
}


def test_the_public_names_are_these():
    assert set(steadygrad.__all__) == PUBLIC
    assert set(dir(steadygrad)) >= PUBLIC
    for name in PUBLIC:
        assert getattr(steadygrad, name) is not None


def test_an_unknown_name_says_so():
    with pytest.raises(AttributeError, match="no attribute 'wach'"):
        _ = steadygrad.wach


def test_the_commands_and_options_are_these():
    import click

    from steadygrad.cli.main import steadygrad as group

    outer = click.Context(group)
    assert set(group.list_commands(outer)) == COMMANDS
    for name in COMMANDS:
        assert group.get_command(outer, name).help
    run = group.get_command(outer, "run")
    context = click.Context(run)
    names = {name for param in run.get_params(context) for name in param.opts if name.startswith("--")}
    assert names == RUN_OPTIONS


TORCHLESS = (
    "import sys; sys.modules['torch'] = None\n"
    "import steadygrad, steadygrad.store, steadygrad.diagnosis, steadygrad._view, steadygrad.report, steadygrad.cli\n"
    "steadygrad.open_run, steadygrad.write_report, steadygrad.SteadygradError\n"
)


def ends_well(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_recorded_run_opens_without_torch():
    assert ends_well(TORCHLESS)


def test_the_test_above_can_fail():
    assert not ends_well(TORCHLESS + "import steadygrad._watch\n")


def test_what_only_a_repair_needs_is_not_loaded_before():
    """A tenth of a second of every start under `run`."""
    loaded = (
        "import sys, steadygrad._watch.process; sys.exit(any(f'steadygrad.{name}' in sys.modules for name in names))"
    )
    assert ends_well(f"names = ['diagnosis', 'interventions', 'remedies', 'trials']; {loaded}")
    assert not ends_well(f"names = ['guard']; {loaded}")


READS = {"item", "cpu", "tolist", "numpy"}
TORCH_ROOMS = (
    "_dist.py",
    "_foreach.py",
    "_robust.py",
    "_snapshot",
    "measure",
    "clip",
    "schedule",
    "init",
    "guard",
    "_tap",
    "_watch",
)


def reads_of(text):
    """Calls that would read a tensor's value to the host."""
    return [
        f"{node.func.attr} in line {node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READS
    ]


def test_values_are_read_in_one_file_only():
    files = [
        path
        for room in TORCH_ROOMS
        for path in ([SOURCE / room] if room.endswith(".py") else (SOURCE / room).rglob("*.py"))
    ]
    assert len(files) > 15
    assert {str(path): reads_of(path.read_text()) for path in files if reads_of(path.read_text())} == {}


def test_the_search_for_reads_finds_one():
    assert reads_of("norm = total.item()") == ["item in line 1"]
    assert reads_of((SOURCE / "_readback.py").read_text())


def test_no_pickle_is_ever_loaded():
    for path in SOURCE.rglob("*.py"):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert not names & {"pickle", "marshal", "shelve"}, path


def test_every_public_function_has_a_docstring():
    missing = []
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if ast.get_docstring(tree) is None:
            missing.append(str(path))
        for node in tree.body:
            if (
                isinstance(node, (ast.FunctionDef, ast.ClassDef))
                and not node.name.startswith("_")
                and ast.get_docstring(node) is None
            ):
                missing.append(f"{path}: {node.name}")
    assert missing == []
