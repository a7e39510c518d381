"""The card of a cause: what it is and why, how it is seen, what to try. It stands in the docstring of its file."""

import inspect
import re
from dataclasses import dataclass

from .._i18n import say
from .causes import CAUSES


@dataclass(frozen=True, slots=True)
class Card:
    """What people read of a cause, in English; `said` is for other languages.

    `title` is one sentence, `meaning` the paragraphs that explain it, `seen_in` what it is told by, `remedies` are ids
    of the catalogue, `reference` is where it was described first or best.
    """

    cause: str
    title: str
    meaning: tuple[str, ...]
    seen_in: str
    remedies: tuple[str, ...]
    reference: str

    def said(self) -> "Card":
        """The same card in the language of the people."""
        return Card(
            self.cause,
            say(self.title),
            tuple(say(each) for each in self.meaning),
            say(self.seen_in),
            self.remedies,
            self.reference,
        )


def card(cause: str) -> Card | None:
    """The card of a cause by its id; None of an unknown one.

    >>> card("missing-zero-grad").title
    'Gradients pile up from step to step.'
    """
    return _CARDS.get(cause)


def cards() -> tuple[Card, ...]:
    """Every card."""
    return tuple(_CARDS.values())


def _read(text: str, cause: str) -> Card:
    title, *rest = (re.sub(r"\s+", " ", part).strip() for part in text.strip().split("\n\n"))
    labelled: dict[str, str] = {}
    meaning = []
    for part in rest:
        label, _, value = part.partition(": ")
        if label in ("Seen in", "Remedies", "Reference"):
            labelled[label] = value
        else:
            meaning.append(part)
    remedies = tuple(labelled["Remedies"].rstrip(".").split(", "))
    return Card(cause, title, tuple(meaning), labelled["Seen in"], remedies, labelled["Reference"])


def _cards() -> dict[str, Card]:
    found = {}
    for each in CAUSES:
        module = inspect.getmodule(each)
        assert module is not None
        found[module.CAUSE] = _read(module.__doc__ or "", module.CAUSE)
    return found


_CARDS = _cards()
