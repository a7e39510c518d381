"""What tests of the example scripts share."""

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example(request):
    """The script that a module of tests is about, as a module: `examples/NAME.py` for `test_NAME.py`."""
    name = request.module.__name__.rpartition("test_")[2]
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(example, monkeypatch, capsys):
    """The script with these arguments, in this process; what it prints."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [example.__file__, *map(str, arguments)])
        example.main()
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


@pytest.fixture
def refused(request, runner):
    """What the script says of a file with this content (None: there is none), after the file's name: one line."""
    script = EXAMPLES / f"{request.module.__name__.rpartition('test_')[2]}.py"

    def refused(option, content):
        if content is not None:
            (runner.folder / "mine").write_bytes(content if isinstance(content, bytes) else content.encode())
        done = runner.bare(sys.executable, str(script), option, "mine")
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"{script.name}: mine")
        return line.removeprefix(f"{script.name}: mine")

    return refused
