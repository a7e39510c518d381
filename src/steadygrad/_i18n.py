"""The language in which people are spoken to: gettext's catalogue for it, chosen once a process."""

import gettext
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "pt": "português"}
"""Every language that there is a catalogue for. English is what the messages are written in."""

FOLDER = Path(__file__).resolve().parent / "locale"

DOMAIN = "steadygrad"

_catalogue: gettext.NullTranslations | None = None


def use(language: str | None) -> None:
    """Speak a language from now on.

    Args:
        language: a key of `LANGUAGES`; None for what the environment says (LANGUAGE, LC_ALL, LC_MESSAGES, LANG).
    """
    global _catalogue
    languages = None if language is None else [language]
    _catalogue = gettext.translation(DOMAIN, FOLDER, languages, fallback=True)


def say(message: str, **values: Any) -> str:
    """A message in the language of the people, with its values filled in.

    Args:
        message: the English text, with places as in `str.format`; it is the key of the catalogue.
        values: what stands in the places.

    Example:
        >>> say("the loss is {loss:.3g}", loss=2.71828)
        'the loss is 2.72'
    """
    if _catalogue is None:
        use(None)
    assert _catalogue is not None
    text = _catalogue.gettext(message) if message else ""
    return text.format(**values) if values else text


def say_count(one: str, many: str, count: int, **values: Any) -> str:
    """The same where a number decides between one and many; it stands in the place `{count}`.

    Example:
        >>> say_count("{count} alarm", "{count} alarms", 2)
        '2 alarms'
    """
    if _catalogue is None:
        use(None)
    assert _catalogue is not None
    return _catalogue.ngettext(one, many, count).format(count=count, **values)
