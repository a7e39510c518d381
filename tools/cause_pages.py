"""Writes docs/causes/: a page for each cause, from the docstring of its rule, the catalogue of remedies and the zoo.

python tools/cause_pages.py            write the pages
python tools/cause_pages.py --check    say which are not as they would be written, status 1 if any
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from zoo.scripts import MARK, Script, find  # noqa: E402

from steadygrad.diagnosis import Card, cards  # noqa: E402
from steadygrad.remedies import remedy  # noqa: E402

FOLDER = ROOT / "docs" / "causes"


def pages() -> dict[Path, str]:
    """Every page with its text."""
    scripts = find()
    found = {FOLDER / f"{card.cause}.md": page(card, scripts) for card in cards()}
    found[FOLDER / "index.md"] = index()
    return found


def index() -> str:
    """The list of all causes."""
    rows = "\n".join(f"| [{card.cause}]({card.cause}.md) | {card.title} |" for card in cards())
    return (
        "# Causes\n\nWhat `steadygrad run`, `diagnose` and `check` name; the ids are permanent. "
        "`steadygrad explain CAUSE` says the same on the terminal, `--lang pt` in Portuguese.\n\n"
        f"| cause | what is wrong |\n|---|---|\n{rows}\n"
    )


def page(card: Card, scripts: list[Script]) -> str:
    """The page of one cause."""
    lines = [f"# {card.cause}", "", f"**{card.title}**", ""]
    lines += [part for each in card.meaning for part in (each, "")]
    lines += ["## How it is seen", "", f"{card.seen_in[:1].upper()}{card.seen_in[1:]}", "", "## What to change", ""]
    for name in card.remedies:
        known = remedy(name)
        lines += [f"- `{name}`: {known.change}", "  ```python", f"  {known.code}", "  ```"]
    examples = sorted({each.path: each for each in scripts if each.causes[:1] == (card.cause,)}.values(), key=_path)
    if examples:
        lines += ["", "## Seen in the zoo", ""]
        lines += [part for each in examples for part in _example(each)]
    lines += ["", f"Reference: {card.reference}", ""]
    return "\n".join(lines)


def _example(script: Script) -> list[str]:
    text = script.path.read_text(encoding="utf-8")
    title = text.split('"""')[1].strip().split("\n")[0]
    marked = next(line for line in text.split("\n") if MARK in line)
    before, after = marked.split(MARK, 1)
    link = f"[{script.path.name}](../../{script.path.relative_to(ROOT).as_posix()})"
    diff = [f"  - {before.strip()}"] if before.strip() else []
    return [f"- {link}: {title} Bare, {script.fails}.", "  ```diff", *diff, f"  + {after.strip()}", "  ```"]


def _path(script: Script) -> Path:
    return script.path


def main() -> int:
    """The command."""
    wrong = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in wrong:
            print(f"{path.relative_to(ROOT)} is not up to date: python tools/cause_pages.py")
        return bool(wrong)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in wrong:
        path.write_text(pages()[path], encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
