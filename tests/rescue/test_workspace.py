"""Trials run in copies of the working folder."""

import os

import pytest

from steadygrad.errors import UsageError
from steadygrad.rescue import Workspace
from steadygrad.rescue import workspace as module


def folder(tmp_path):
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    (work / "train.py").write_text("print(1)")
    (work / "data" / "x.csv").write_text("1,2")
    (work / "__pycache__").mkdir()
    (work / "__pycache__" / "train.pyc").write_text("")
    (work / ".git").mkdir()
    (work / ".git" / "HEAD").write_text("main")
    (work / "runs").mkdir()
    (work / "runs" / "old.txt").write_text("")
    return work


def test_a_copy_has_the_files_and_is_gone_afterwards(tmp_path):
    work = folder(tmp_path)
    with Workspace(work, without=(work / "runs",)).place() as place:
        assert place != work
        assert (place / "train.py").read_text() == "print(1)"
        assert (place / "data" / "x.csv").read_text() == "1,2"
        assert not (place / "__pycache__").exists()
        assert not (place / "runs").exists()
        assert (place / ".git").is_symlink()
        (place / "train.py").write_text("changed")
        (place / "new.txt").write_text("")
    assert not place.exists()
    assert (work / "train.py").read_text() == "print(1)"
    assert not (work / "new.txt").exists()
    assert (work / ".git" / "HEAD").exists(), "what is linked is not taken away with the copy"


def test_same_is_the_folder_itself(tmp_path):
    work = folder(tmp_path)
    with Workspace(work, copies=False).place() as place:
        assert place == work
    assert work.exists()


def test_large_files_are_linked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 100)
    work = folder(tmp_path)
    (work / "big.bin").write_bytes(b"x" * 101)
    workspace = Workspace(work, without=(work / "runs",))
    assert workspace.size() == (2, 11, 1)
    with workspace.place() as place:
        assert (place / "big.bin").is_symlink()
        assert not (place / "train.py").is_symlink()


def test_paths_into_the_folder_follow_the_copy(tmp_path):
    work = folder(tmp_path)
    workspace = Workspace(work)
    with workspace.place() as place:
        moved = workspace.moved(("python", str(work / "train.py"), "data/x.csv", "/etc/hostname"), place)
    assert moved == ("python", str(place / "train.py"), "data/x.csv", "/etc/hostname")


def test_a_folder_too_large_to_copy_is_said_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 5)
    work = folder(tmp_path)
    with pytest.raises(UsageError, match=r"too large to copy .* use --workdir same"):
        Workspace(work).require_small()
    Workspace(work, copies=False).require_small()


def test_links_are_not_followed(tmp_path):
    work = folder(tmp_path)
    os.symlink("/", work / "root")
    with Workspace(work).place() as place:
        assert (place / "root").is_symlink()
