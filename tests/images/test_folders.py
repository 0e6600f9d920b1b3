"""Which files of a folder are images."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from noiseda import images
from noiseda.errors import DataError


def test_list_images(tmp_path: Path) -> None:
    for name in (
        "b/2.PNG", "b/10.jpg", "a.tiff", "b.webp", "c/d/x.gif", ".hidden.png", ".cache/a.png",
        "notes.txt", "._a.tiff",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.symlink(tmp_path, tmp_path / "c" / "loop")
    found = [path.relative_to(tmp_path).as_posix() for path in images.list_images(tmp_path)]
    assert found == ["a.tiff", "b.webp", "b/10.jpg", "b/2.PNG", "c/d/x.gif"]


def test_list_images_refuses(tmp_path: Path) -> None:
    (tmp_path / "file.png").touch()
    for name in ("one", "none"):
        (tmp_path / name / "deep").mkdir(parents=True)
    (tmp_path / "one" / "deep" / "a.txt").touch()
    for name, words in {
        "missing": "no such folder",
        "file.png": "not a folder",
        "one": r"no image in this folder \(1 other file\)",
        "none": "it is empty",
    }.items():
        with pytest.raises(DataError, match=words):
            images.list_images(tmp_path / name)
