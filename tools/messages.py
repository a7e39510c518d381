"""The catalogues of messages: `make messages` finds what is said, updates the .po files and compiles them.

A message that is new has an empty translation in `src/steadygrad/locale/*/LC_MESSAGES/steadygrad.po` then: write it,
and run this again. `--check` changes nothing and says what is missing.
"""

import argparse
import contextlib
import io
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "steadygrad"
LOCALE = SOURCE / "locale"
FILE = "LC_MESSAGES/steadygrad"

KEYWORDS = {"say": None, "later": None, "say_count": (1, 2)}
"""Functions whose first argument is a message; of `say_count` the first two are its forms."""

PLURALS = {"en": "nplurals=2; plural=(n != 1);", "pt": "nplurals=2; plural=(n > 1);"}
"""How a number chooses between forms; a language whose numbers choose otherwise needs its line here."""

HEADER = """# The messages of steadygrad in {name}. `make messages` keeps it complete.
"""

Message = str | tuple[str, str]


def messages() -> set[Message]:
    """Every message: of the source, of the templates, of the help, of the cards of causes and of the remedies."""
    return {*literal(), *helps(), *cards()}


def literal() -> Iterator[Message]:
    """What stands as a literal in a call of `say`, `later` or `say_count`."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield from _extracted("python", path, {})
    for path in sorted(SOURCE.rglob("*.jinja")):
        yield from _extracted("jinja2.ext:babel_extract", path, {"trim_blocks": "true", "lstrip_blocks": "true"})


def helps() -> Iterator[str]:
    """The paragraphs of each command's help, and the help of its options."""
    from steadygrad.cli.language import paragraphs
    from steadygrad.cli.main import steadygrad

    outer = click.Context(steadygrad)
    for command in (steadygrad, *(steadygrad.get_command(outer, name) for name in steadygrad.list_commands(outer))):
        assert command is not None
        yield from paragraphs(command.help or "")
        for param in command.get_params(click.Context(command)):
            if isinstance(param, click.Option) and param.help:
                yield param.help


def cards() -> Iterator[str]:
    """What people read of causes and remedies, which is kept in docstrings and in a table."""
    from steadygrad.diagnosis import cards as all_cards
    from steadygrad.remedies import REMEDIES

    for card in all_cards():
        yield from (card.title, *card.meaning, card.seen_in)
    yield from (remedy.change for remedy in REMEDIES)


def updated(path: Path, found: set[Message]) -> Catalog:
    """The catalogue of a file with exactly these messages: translations are kept, the rest is new or gone."""
    language = path.parents[1].name
    catalog, old = empty(language), empty(language)
    if path.exists():
        with path.open("rb") as file:
            old = read_po(file, locale=language)
    for message in found:
        key = message[0] if isinstance(message, tuple) else message
        known = old.get(key)
        catalog.add(message, known.string if known is not None and _same_form(message, known.string) else "")
    return catalog


def empty(language: str) -> Catalog:
    """A catalogue without messages."""
    catalog = Catalog(locale=language)
    catalog.mime_headers = [("Plural-Forms", PLURALS[language])]
    return catalog


def text_of(catalog: Catalog) -> str:
    """A catalogue as a .po file: sorted, without dates and lines of code, so that a diff shows what was said anew."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=100, omit_header=True, sort_output=True, no_location=True)
    assert catalog.locale is not None
    head = HEADER.format(name=catalog.locale.get_language_name("en"))
    head += 'msgid ""\nmsgstr ""\n' + "".join(f'"{line}\\n"\n' for line in _header(catalog)) + "\n"
    return head + buffer.getvalue().decode("utf-8")


def compiled(catalog: Catalog) -> bytes:
    """A catalogue as a .mo file, the same bytes for the same messages whatever made it. See the manual of gettext."""
    pairs = {"": "".join(f"{line}\n" for line in _header(catalog))}
    for message in catalog:
        if not message.id or message.fuzzy:
            continue
        forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        if all(forms):
            pairs["\0".join(message.id) if isinstance(message.id, (tuple, list)) else message.id] = "\0".join(
                map(str, forms)
            )
    keys = sorted(pairs, key=lambda key: key.encode("utf-8"))
    start = 7 * 4
    places = start + 16 * len(keys)
    tables: list[list[tuple[int, int]]] = [[], []]
    data = b""
    for table, texts in zip(tables, (keys, [pairs[key] for key in keys]), strict=True):
        for text in texts:
            raw = text.encode("utf-8")
            table.append((len(raw), places + len(data)))
            data += raw + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(keys), start, start + 8 * len(keys), 0, 0)
    return head + b"".join(struct.pack("<2I", *entry) for table in tables for entry in table) + data


def read(path: Path) -> Catalog:
    """The catalogue in a .po file."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parents[1].name)


def missing(catalog: Catalog) -> list[str]:
    """Messages without a translation."""
    found = []
    for message in catalog:
        forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        if message.id and not all(forms):
            found.append(message.id[0] if isinstance(message.id, (tuple, list)) else message.id)
    return sorted(found)


def main() -> int:
    """Update and compile every catalogue. Returns 1 if a translation is missing, or with `--check` if one is old."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    found, status = messages(), 0
    for path in sorted(LOCALE.glob(f"*/{FILE}.po")):
        catalog = updated(path, found)
        texts = {path: text_of(catalog).encode("utf-8"), path.with_suffix(".mo"): compiled(catalog)}
        for target, content in texts.items():
            if target.exists() and target.read_bytes() == content:
                continue
            print(f"{target.relative_to(ROOT)} {'is not up to date' if check else 'written'}")
            status = 1 if check else status
            if not check:
                target.write_bytes(content)
        for text in missing(catalog):
            print(f"{path.parents[1].name}: no translation of {text!r}", file=sys.stderr)
            status = 1
    # English is what messages are written in; its empty catalogue is there to be found first, see `_i18n.use`.
    english = LOCALE / "en" / f"{FILE}.mo"
    if not check:
        english.parent.mkdir(parents=True, exist_ok=True)
        english.write_bytes(compiled(empty("en")))
    return status


def _extracted(method: str, path: Path, options: dict[str, str]) -> Iterator[Message]:
    # Babel remarks on f-strings among the values, which are no messages; that none is a message is tested.
    with path.open("rb") as file, contextlib.redirect_stderr(io.StringIO()):
        for _, message, _, _ in extract(method, file, KEYWORDS, options=options):
            # Beside a literal, a call may have arguments that are none: `say` gets its values by name.
            yield (message[0], message[1]) if isinstance(message, (tuple, list)) else message


def _header(catalog: Catalog) -> tuple[str, ...]:
    return (
        f"Language: {catalog.locale_identifier}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        f"Plural-Forms: {catalog.plural_forms}",
    )


def _same_form(message: Message, string: object) -> bool:
    return isinstance(message, tuple) == isinstance(string, (tuple, list))


if __name__ == "__main__":
    sys.exit(main())
