"""Where trials run: each in a copy of the working folder, so that none finds what another has written."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .._i18n import say
from ..errors import UsageError

LEFT_OUT = frozenset({".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".pytest_cache"})
"""Folders that a trial does not need a copy of: those of tools are linked, caches are left out."""

CACHES = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache"})

LARGE = 16 * 2**20
"""Bytes from which a file is linked in place of copied: data, which scripts read."""

MOST = 2**30
"""Bytes that a copy may have."""


@dataclass(frozen=True)
class Workspace:
    """The working folder of a script, and whether trials get copies of it.

    Args:
        folder: the working folder.
        copies: False lets every trial run in the folder itself.
        without: folders that are never copied, such as that of recorded runs.
    """

    folder: Path
    copies: bool = True
    without: tuple[Path, ...] = ()

    def size(self) -> tuple[int, int, int]:
        """How many files a copy has, their bytes, and how many files are linked."""
        files = size = linked = 0
        for path in self._files():
            large = path.stat().st_size > LARGE
            linked += large
            files += not large
            size += 0 if large else path.stat().st_size
        return files, size, linked

    def require_small(self) -> None:
        """Make sure that copies are affordable.

        Raises:
            UsageError: they are not.
        """
        if not self.copies:
            return
        files, size, _ = self.size()
        if size > MOST:
            told = {"folder": self.folder, "size": size / 2**30, "files": files}
            raise UsageError(
                say(
                    "{folder} is too large to copy for each trial ({files} files, {size:.1f} GB): start in the "
                    "script's own folder, or use --workdir same",
                    **told,
                )
            )

    @contextmanager
    def place(self) -> Iterator[Path]:
        """A folder to run one trial in."""
        if not self.copies:
            yield self.folder
            return
        scratch = Path(tempfile.mkdtemp(prefix="steadygrad-trial-"))
        try:
            copy = scratch / (self.folder.name or "work")
            self._copy(self.folder, copy)
            yield copy
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def moved(self, command: Sequence[str], place: Path) -> tuple[str, ...]:
        """The command with paths into the working folder pointing into a copy of it."""
        if not self.copies:
            return tuple(command)
        return (command[0], *(self._moved(word, place) for word in command[1:]))

    def _moved(self, word: str, place: Path) -> str:
        path = Path(word)
        if path.is_absolute() and path.is_relative_to(self.folder) and path.exists():
            return str(place / path.relative_to(self.folder))
        return word

    def _copy(self, source: Path, copy: Path) -> None:
        copy.mkdir(parents=True)
        for entry in os.scandir(source):
            path, new = Path(entry.path), copy / entry.name
            if entry.name in CACHES or path in self.without:
                continue
            if entry.is_symlink() or entry.name in LEFT_OUT:
                new.symlink_to(path.resolve(), target_is_directory=path.is_dir())
            elif entry.is_dir():
                self._copy(path, new)
            elif entry.is_file():
                if entry.stat().st_size > LARGE:
                    new.symlink_to(path)
                else:
                    shutil.copy2(path, new)

    def _files(self) -> Iterator[Path]:
        for root, folders, files in os.walk(self.folder):
            here = Path(root)
            folders[:] = [
                each
                for each in folders
                if each not in LEFT_OUT and here / each not in self.without and not (here / each).is_symlink()
            ]
            yield from (here / each for each in files if (here / each).is_file() and not (here / each).is_symlink())
