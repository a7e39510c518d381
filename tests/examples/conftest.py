"""What tests of the example scripts share."""

import functools
import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def loaded():
    """`examples/NAME.py` as a module, by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def example(request, loaded):
    """The script that a module of tests is about: `examples/NAME.py` for `test_NAME.py`."""
    return loaded(request.module.__name__.rpartition("test_")[2])


@pytest.fixture
def run_script(monkeypatch, capsys):
    """Any of the scripts with these arguments, in this process; what it prints."""

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script.__file__, *map(str, arguments)])
        script.main()
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


@pytest.fixture
def run(example, run_script):
    """The script that a module of tests is about with these arguments, in this process; what it prints."""
    return functools.partial(run_script, example)


@pytest.fixture
def refused(example, monkeypatch, capsys, tmp_path):
    """What the script says of a file with this content (None: there is none), after the file's name: one line."""
    script = Path(example.__file__).name

    def refused(option, content):
        monkeypatch.chdir(tmp_path)
        if content is not None:
            Path("mine").write_bytes(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setattr(sys, "argv", [example.__file__, option, "mine"])
        with pytest.raises(SystemExit) as ended:
            example.main()
        printed = capsys.readouterr()
        assert (ended.value.code, printed.out) == (2, "")
        (line,) = printed.err.splitlines()
        assert line.startswith(f"{script}: mine")
        return line.removeprefix(f"{script}: mine")

    return refused
