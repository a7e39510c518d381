"""Writes docs/gallery/: a page and two pictures for each demo, as `steadygrad demo` makes them, and their index.

python tools/gallery_pages.py              run every demo in full, and write its page
python tools/gallery_pages.py weather      that one
python tools/gallery_pages.py --quick      every demo in its quick form
python tools/gallery_pages.py --index      only the index, and the pictures in the README
python tools/gallery_pages.py --check      say whether these two are as they would be written, status 1 if not
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from steadygrad.gallery import DEMOS, Demo, demo

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "gallery"
BEGIN, END = "<!-- gallery: make gallery -->", "<!-- end of gallery -->"
"""Between them stand the pictures in the README."""

IN_A_ROW = 4


def write(chosen: Demo, *options: str) -> None:
    """Run a demo, and keep its page and its pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "demo"
        command = [sys.executable, "-m", "steadygrad", "demo", *options, chosen.name, "--out", str(made)]
        subprocess.run(command, check=True)
        for name in (f"{chosen.name}.md", f"{chosen.name}.png", f"{chosen.name}-small.png"):
            shutil.copy(made / name, FOLDER / name)


def index() -> str:
    """The list of all demos, with their pictures."""
    lines = [
        "# Gallery",
        "",
        "The work that exploding gradients ruin, on real data: each script fails as it is, and is shown bare, watched, "
        "explained, repaired, and with each of the field's cures, alone and together. Each is a plain script in "
        "[examples/](../../examples/README.md) that knows nothing of steadygrad.",
        "",
        "```\npip install 'steadygrad[demo]'\nsteadygrad demo --list\nsteadygrad demo weather\n```",
        "",
        "The numbers on a page are those of the command on it (two CPU cores, torch 2.13.0); `make gallery` writes all "
        "pages anew. `--quick` takes less than 40 seconds: one seed, fewer steps, fewer runs.",
        "",
        "| | | |",
        "|---|---|---|",
    ]
    for each in DEMOS:
        picture = f"[![{each.name}]({each.name}-small.png)]({each.name}.md)"
        title = f"{each.title[0].upper()}{each.title[1:]}"
        cause = f"[{each.cause}](../causes/{each.cause}.md)"
        lines.append(f"| {picture} | [{each.name}]({each.name}.md) | {title}. Cause: {cause} |")
    return "\n".join(lines) + "\n"


def pictures() -> str:
    """The pictures as the README has them, a row after the other."""
    rows = []
    for first in range(0, len(DEMOS), IN_A_ROW):
        cells = [
            f'<a href="docs/gallery/{each.name}.md"><img src="docs/gallery/{each.name}-small.png" '
            f'width="{96 // IN_A_ROW}%" alt="{each.name}: training loss, bare, watched and repaired"></a>'
            for each in DEMOS[first : first + IN_A_ROW]
        ]
        rows.append("\n".join(cells))
    return "\n".join(rows)


def readme(text: str) -> str:
    """The README with the pictures of now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{pictures()}\n{END}{after}"


def main() -> int:
    """Write what is asked for."""
    words = sys.argv[1:]
    page = ROOT / "README.md"
    if words == ["--check"]:
        written = {path: path.read_text(encoding="utf-8") for path in (FOLDER / "index.md", page)}
        other = [path for path, text in written.items() if text != (readme(text) if path == page else index())]
        for path in other:
            print(f"{path.relative_to(ROOT)} is not as it would be written: python tools/gallery_pages.py --index")
        return 1 if other else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    if words != ["--index"]:
        options = [word for word in words if word.startswith("-")]
        for each in [demo(word) for word in words if word not in options] or DEMOS:
            write(each, *options)
    (FOLDER / "index.md").write_text(index(), encoding="utf-8")
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
