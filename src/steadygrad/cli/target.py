"""What is to be run: a script, a module or any command; checked before anything is started or written."""

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from .._i18n import say
from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Target:
    """A command line and the short name its run folder gets."""

    command: tuple[str, ...]
    stem: str


def split_arguments(arguments: list[str], with_value: frozenset[str]) -> tuple[list[str], list[str]]:
    """Cut our own options from what is to be run. Everything from the script on belongs to the script.

    Args:
        arguments: everything behind `steadygrad run`.
        with_value: our options that take a value.

    Returns:
        Our options, and the rest: it starts with "--", "-m" or the script.

    Example:
        >>> split_arguments(["--out", "x", "train.py", "--out", "y"], frozenset({"--out"}))
        (['--out', 'x'], ['train.py', '--out', 'y'])
    """
    place = 0
    while place < len(arguments):
        word = arguments[place]
        if word in {"--", "-m", "-"} or not word.startswith("-"):
            break
        place += 2 if word in with_value else 1
    return arguments[:place], arguments[place:]


def find_target(words: list[str]) -> Target:
    """Make the command line for what the user wants to run.

    Args:
        words: "SCRIPT ARGS...", "-m MODULE ARGS..." or "-- COMMAND ARGS...".

    Raises:
        UsageError: there is nothing to run, or it does not exist.
    """
    if not words:
        raise UsageError(say("nothing to run: name a script, -m MODULE, or -- and a command (steadygrad run train.py)"))
    first, rest = words[0], words[1:]
    if first == "--":
        return _command(rest)
    if first == "-m":
        return _module(rest)
    return _script(first, rest)


def _script(name: str, rest: list[str]) -> Target:
    path = Path(name)
    if path.is_dir() and (path / "__main__.py").is_file():
        return Target((sys.executable, name, *rest), path.resolve().name)
    if not path.is_file():
        told = {"name": name, "folder": Path.cwd()}
        if path.is_dir():
            raise UsageError(say("is a folder without __main__.py: {name} (looked in {folder})", **told))
        if shutil.which(name):
            raise UsageError(
                say(
                    "no such script: {name} (looked in {folder}); "
                    "to run a command, write: steadygrad run -- {name} ...",
                    **told,
                )
            )
        raise UsageError(say("no such script: {name} (looked in {folder})", **told))
    with path.open("rb") as script:
        start = script.read(2)
    if path.suffix not in {".py", ".pyw", ".pyz", ""} or (path.suffix == "" and start == b"\x7fE"):
        raise UsageError(
            say("not a Python script: {name}; to run a command, write: steadygrad run -- {name} ...", name=name)
        )
    return Target((sys.executable, name, *rest), path.stem)


def _module(rest: list[str]) -> Target:
    if not rest:
        raise UsageError(say("-m needs the name of a module (steadygrad run -m package.train)"))
    name, arguments = rest[0], rest[1:]
    if not _importable(name):
        told = {"name": name, "python": sys.executable, "folder": Path.cwd()}
        raise UsageError(say("no such module: {name} (Python is {python}, looked in {folder} too)", **told))
    return Target((sys.executable, "-m", name, *arguments), name.rsplit(".", 1)[-1])


def _command(rest: list[str]) -> Target:
    if not rest:
        raise UsageError(say("nothing to run after -- (steadygrad run -- torchrun train.py)"))
    if shutil.which(rest[0]) is None:
        raise UsageError(say("no such command: {name} (not on PATH)", name=rest[0]))
    scripts = [Path(word).stem for word in rest[1:] if word.endswith(".py")]
    return Target(tuple(rest), scripts[0] if scripts else Path(rest[0]).stem)


def _importable(name: str) -> bool:
    """Whether `python -m name` will find its module, found without importing anything."""
    top, *inner = name.split(".")
    here = str(Path.cwd())
    saved = list(sys.path)
    sys.path.insert(0, here)
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    finally:
        sys.path[:] = saved
    path = top
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return False
        path = f"{path}.{part}"
        spec = PathFinder.find_spec(path, list(spec.submodule_search_locations))
    return spec is not None
