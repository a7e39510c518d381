"""What there is to see: each demo is a plain training script, and what is to be said of it."""

from dataclasses import dataclass
from pathlib import Path

from .._i18n import later, say
from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Sweep:
    """A further curve: the metric against a value that the script is given, bare and watched."""

    option: str
    values: tuple[float, ...]
    metric: str
    label: str


@dataclass(frozen=True, slots=True)
class Lengths:
    """A further curve: results whose names tell a length, such as `T=20 success`."""

    values: tuple[int, ...]
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo.

    Attributes:
        name: on the command line.
        title: what is trained on what, in English; say it.
        about: the task and where its data come from, for its page.
        mistake: what is wrong with the script, for its page.
        metric: the name in the script's last line by which runs are compared.
        higher: whether more of it is better.
        baseline: another name there, to compare with.
        optimizer: the one of the script's own recipe.
        steps: of a whole run.
        quick: steps of a quick one.
        beats: whether the watched run is better than the baseline.
        cause: the mistake as a cause.
        curve: what else is drawn.
    """

    name: str
    title: str
    about: str
    mistake: str
    metric: str
    higher: bool
    baseline: str | None
    optimizer: str
    steps: int
    quick: int
    beats: bool
    cause: str
    curve: Sweep | Lengths | None = None

    @property
    def file(self) -> str:
        """The script's file in `examples/`."""
        return f"{self.name.replace('-', '_')}.py"

    @property
    def other(self) -> str:
        """The optimizer that is not the one of its recipe."""
        return "adam" if self.optimizer == "sgd" else "sgd"


DEMOS = (
    Demo(
        "language-model",
        later("a character-level LSTM language model on the English text that Python ships, plain SGD"),
        "The text is the pages behind Python's `help(...)`: half a megabyte of technical English that is part of every "
        "CPython (module `pydoc_data.topics`, PSF licence). The last tenth is held out. The n-gram models "
        "beside it are trained on the same part, with Witten-Bell smoothing.",
        "The classic recipe for recurrent language models has a large learning rate and a clip of the gradient's norm. "
        "The clip was left out.",
        "bits per character",
        False,
        "trigram model",
        "sgd",
        400,
        340,
        True,
        "learning-rate",
    ),
)
"""Every demo, in the order in which they are listed."""


def demo(name: str) -> Demo:
    """The demo of a name.

    Raises:
        UsageError: there is none.
    """
    found = next((each for each in DEMOS if each.name == name), None)
    if found is None:
        told = {"name": repr(name), "names": ", ".join(each.name for each in DEMOS)}
        raise UsageError(say("no demo is called {name}; there are {names}", **told))
    return found


def find_example(file: str) -> Path:
    """A demo script: beside the package in a wheel, in `examples/` of a checkout.

    Raises:
        UsageError: this installation has none.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_examples", package.parent.parent / "examples"):
        if (folder / file).is_file():
            return folder / file
    raise UsageError(
        say("this installation of steadygrad has no {file}: install it from a wheel or a checkout", file=file)
    )
