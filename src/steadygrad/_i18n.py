"""The language in which people are spoken to: gettext's catalogue for it, chosen once a process."""

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "pt": "português"}
"""Every language that there is a catalogue for. English is what the messages are written in."""

FOLDER = Path(__file__).resolve().parent / "locale"

DOMAIN = "steadygrad"

_ENGLISH = gettext.NullTranslations()

_catalogue: gettext.NullTranslations | None = None
_language = "en"
_in_english: ContextVar[bool] = ContextVar("steadygrad_in_english", default=False)


def use(language: str | None) -> None:
    """Speak a language from now on.

    Args:
        language: a key of `LANGUAGES`; None for what the environment says (LANGUAGE, LC_ALL, LC_MESSAGES, LANG).
    """
    global _catalogue, _language
    # English has a catalogue too, an empty one: where LANGUAGE is "en:pt", gettext is to find it first. Only the first
    # is taken: `gettext.translation` would look up what an empty one lacks in the next.
    path = gettext.find(DOMAIN, FOLDER, None if language is None else [language])
    if path is None:
        _catalogue, _language = _ENGLISH, "en"
        return
    with open(path, "rb") as file:
        _catalogue = gettext.GNUTranslations(file)
    _language = Path(path).parents[1].name


def language() -> str:
    """The language in use, a key of `LANGUAGES`."""
    _current()
    return "en" if _in_english.get() else _language


@contextmanager
def in_english() -> Iterator[None]:
    """Inside, everything is said in English: for what goes into a recording, which is read in any language."""
    token = _in_english.set(True)
    try:
        yield
    finally:
        _in_english.reset(token)


def say(message: str, **values: Any) -> str:
    """A message in the language of the people, with its values filled in.

    Args:
        message: the English text, with places as in `str.format`; it is the key of the catalogue.
        values: what stands in the places.

    Example:
        >>> say("the loss is {loss:.3g}", loss=2.71828)
        'the loss is 2.72'
    """
    text = _current().gettext(message) if message else ""
    return text.format(**values) if values else text


def say_count(one: str, many: str, count: int, **values: Any) -> str:
    """The same where a number decides between one and many; it stands in the place `{count}`.

    Example:
        >>> say_count("{count} alarm", "{count} alarms", 2)
        '2 alarms'
    """
    return _current().ngettext(one, many, count).format(count=count, **values)


def later(message: str) -> str:
    """Mark a message that is said elsewhere, by `say(name)`, so that it comes into the catalogue.

    Example:
        >>> WORDS = {"loss": later("the training loss")}
        >>> say(WORDS["loss"])
        'the training loss'
    """
    return message


def _current() -> gettext.NullTranslations:
    if _catalogue is None:
        use(None)
    assert _catalogue is not None
    return _ENGLISH if _in_english.get() else _catalogue
