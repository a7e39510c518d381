"""A check of what a user's factory returns: model, batch, loss and optimizer."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from .. import _config
from .._i18n import say, use
from ..errors import UsageError
from .check import check
from .outcome import write_outcome


def main(target: str) -> int:
    """Check `MODULE:FACTORY` and leave the outcome in the folder that `steadygrad check` has named.

    Returns:
        0, or 2 if the factory cannot be used; one line on stderr says why.
    """
    config = _config.child_config()
    assert config is not None
    use(config.lang)
    try:
        made = parts(load(target), target)
        result = check(*made, progress=progress)
    except (UsageError, ValueError) as error:
        print(f"steadygrad: {error}", file=sys.stderr)
        return 2
    finally:
        progress("")
    write_outcome(config.folder, result)
    return 0


def load(target: str) -> Callable[[], Any]:
    """The factory that `MODULE:FACTORY` or `FILE.py:FACTORY` names.

    Raises:
        UsageError: there is no such module or no such function in it.
    """
    place, _, name = target.rpartition(":")
    sys.path.insert(0, str(Path.cwd()))
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise UsageError(say("no such file: {path} (looked in {folder})", path=place, folder=Path.cwd()))
        sys.path.insert(0, str(path.resolve().parent))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise
            raise UsageError(
                say("no such module: {name} (looked in {folder} too)", name=place, folder=Path.cwd())
            ) from None
    factory = module
    for part in name.split("."):
        factory = getattr(factory, part, None)
    if not callable(factory):
        known = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        told = {"module": place, "name": name}
        if known:
            others = ", ".join(known[:8])
            raise UsageError(say("{module} has no function {name}; it has {others}", others=others, **told))
        raise UsageError(say("{module} has no function {name}", **told))
    return factory


def parts(factory: Callable[[], Any], target: str) -> tuple[Any, ...]:
    """Model, batch, loss and, if it is given, optimizer, as a factory returns them.

    Raises:
        UsageError: it returns something else.
    """
    made = factory()
    wanted = say("(model, batch, loss_fn) or (model, batch, loss_fn, optimizer)")
    if not isinstance(made, Sequence) or not 2 <= len(made) <= 4:
        told = {"target": target, "type": type(made).__name__, "wanted": wanted}
        raise UsageError(say("{target} returned {type}, expected {wanted}", **told))
    if not isinstance(made[0], nn.Module):
        told = {"target": target, "type": type(made[0]).__name__, "wanted": wanted}
        raise UsageError(say("{target} returned a {type} first, expected {wanted}", **told))
    return tuple(made)


def progress(line: str) -> None:
    """What is measured now, on one line of a terminal that the next one takes."""
    if sys.stderr.isatty():
        told = say("measuring: {what}", what=line) if line else ""
        print(f"\r\x1b[2K{told}", end="", file=sys.stderr, flush=True)
