"""Archives are unpacked whole or not at all, and never outside their folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from noiseda.data.fetching import unpack
from noiseda.errors import DataError

MODES: dict[str, Literal["w", "w:gz", "w:xz"]] = {".tar": "w", ".gz": "w:gz", ".xz": "w:xz"}
FILES = {"set/a.png": b"a" * 5000, "set/sub/b.png": b"b" * 70_000, "set/c.txt": b""}


def make_zip(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with tarfile.open(path, MODES[path.suffix]) as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
def test_unpack(tmp_path: Path, name: str) -> None:
    make = make_zip if name.endswith("zip") else make_tar
    told = []
    folder = unpack(make(tmp_path / name), tmp_path / "in", lambda *counts: told.append(counts))
    assert folder == tmp_path / "in" / "set"
    assert contents(tmp_path / "in") == FILES
    assert told[-1][0] == told[-1][1] == 75_000
    with pytest.raises(DataError, match="in/set: exists already"):
        unpack(tmp_path / name, tmp_path / "in")
    assert contents(tmp_path / "in") == FILES
    # several things at the top get a folder of the archive's name
    flat = {"x.png": b"1", "y/z.png": b"2"}
    assert unpack(make(tmp_path / name, flat), tmp_path / "in") == tmp_path / "in" / "a"
    assert contents(tmp_path / "in" / "a") == flat


def refused(archive: Path, *words: str) -> None:
    into = archive.parent / "in"
    with pytest.raises(DataError) as caught:
        unpack(archive, into)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for word in (archive.name, *words):
        assert word in message
    assert not into.exists() or not list(into.iterdir())


@pytest.mark.parametrize(
    "name", ["../evil.png", "set/../../evil.png", "/tmp/evil.png", "..\\e.png"]
)
def test_nothing_lies_outside(tmp_path: Path, name: str) -> None:
    evil = {**FILES, name: b"evil"}
    refused(make_zip(tmp_path / "a.zip", evil), "outside")
    refused(make_tar(tmp_path / "a.tar", evil), "outside")
    assert not list(tmp_path.rglob("*evil*"))


def test_links(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as file:
        member = tarfile.TarInfo("set/link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        file.addfile(member)
    refused(archive, "set/link is a link")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("set/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc")
    refused(tmp_path / "a.zip", "set/link is a link")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_truncated_anywhere(tmp_path: Path, name: str) -> None:
    make = make_zip if name.endswith("zip") else make_tar
    whole = make(tmp_path / name).read_bytes()
    # half of a header, between two entries of a tar, within an entry
    for length in (0, 100, 512 + 5120, len(whole) // 2, int(len(whole) * 0.9)):
        (tmp_path / name).write_bytes(whole[: min(length, len(whole) - 1)])
        refused(tmp_path / name)


def test_damaged(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip")
    with zipfile.ZipFile(archive) as file:
        info = file.getinfo("set/sub/b.png")
    content = bytearray(archive.read_bytes())
    content[info.header_offset + 60] ^= 0xFF
    archive.write_bytes(content)
    refused(archive, "damaged")
    (tmp_path / "b.zip").write_text("no archive")
    refused(tmp_path / "b.zip", "not a zip or tar")
    refused(tmp_path / "absent.zip", "no such file")
    refused(make_zip(tmp_path / "empty.zip", {}), "empty")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is said before it is written."""
    archive = make_zip(tmp_path / "a.zip", {"set/big.bin": b"0" * 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": 10}))
    refused(archive, "are free")
