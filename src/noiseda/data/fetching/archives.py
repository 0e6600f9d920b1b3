"""Unpack archives safely: nothing outside the folder, whole or not at all."""

from __future__ import annotations

import lzma
import os
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from noiseda.errors import DataError

Progress = Callable[[int, int], None]
_COPY = 1 << 20
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)


def unpack(archive: Path, into: Path, progress: Progress | None = None) -> Path:
    """Unpack a zip or tar (also .gz, .bz2, .xz) archive into a new folder in `into`.

    The folder is the archive's own if it has just one at its top, else it is named after the
    archive. It appears when all is in it.

    Args:
        archive: the file.
        into: made if need be.
        progress: called with the bytes of the archive's content that are unpacked, and of all.

    Returns:
        The new folder.

    Raises:
        DataError: no archive, truncated or damaged, an entry that would lie outside the folder or
            is neither a file nor a folder, the folder exists, or the disk is full. Nothing is
            left of it then.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; check the path")
    temporary = into / f".unpacking-{secrets.token_hex(8)}"
    try:
        temporary.mkdir(parents=True)
        if zipfile.is_zipfile(archive):
            _unzip(archive, temporary, progress)
        elif tarfile.is_tarfile(archive):
            _untar(archive, temporary, progress)
        else:
            raise DataError(
                f"{archive}: not a zip or tar archive, or cut off; download it again, or unpack "
                "it yourself"
            )
        return _place(archive, temporary, into)
    except _BROKEN as error:
        raise DataError(
            f"{archive}: damaged or cut off ({' '.join(str(error).split())}); download it again"
        ) from None
    except OSError as error:
        where = error.filename or into
        raise DataError(
            f"{where}: cannot unpack {archive.name}: {error.strerror or error}"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _place(archive: Path, temporary: Path, into: Path) -> Path:
    present = [path for path in temporary.iterdir() if path.name != "__MACOSX"]
    if not present:
        raise DataError(f"{archive}: an empty archive")
    alone = len(present) == 1 and present[0].is_dir()
    source = present[0] if alone else temporary
    name = present[0].name if alone else archive.name.split(".")[0]
    target = into / name
    if target.exists():
        raise DataError(f"{target}: exists already; remove it or choose another folder")
    os.rename(source, target)
    return target


def _unzip(archive: Path, folder: Path, progress: Progress | None) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        _refuse_full(folder, archive, sum(member.file_size for member in members))

        def contents() -> Iterator[tuple[str, bool, int, Callable[[], IO[bytes] | None]]]:
            for member in members:
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise DataError(f"{archive}: {member.filename} is a link or device; refused")
                if member.flag_bits & 1:
                    raise DataError(f"{archive}: asks for a password; unpack it yourself")
                yield (
                    member.filename,
                    member.is_dir(),
                    member.file_size,
                    lambda member=member: file.open(member),
                )

        _write_all(archive, folder, contents(), sum(m.file_size for m in members), progress)


def _untar(archive: Path, folder: Path, progress: Progress | None) -> None:
    with tarfile.open(archive) as file:
        members = file.getmembers()
        _refuse_unended(archive, file)
        _refuse_full(folder, archive, sum(member.size for member in members))

        def contents() -> Iterator[tuple[str, bool, int, Callable[[], IO[bytes] | None]]]:
            for member in members:
                if not (member.isfile() or member.isdir()):
                    raise DataError(f"{archive}: {member.name} is a link or device; refused")
                yield (
                    member.name,
                    member.isdir(),
                    member.size,
                    lambda member=member: file.extractfile(member),
                )

        _write_all(archive, folder, contents(), sum(m.size for m in members), progress)


def _refuse_unended(archive: Path, file: tarfile.TarFile) -> None:
    """A tar that is cut off between two entries reads like a whole one, but for its end; and the
    checksum of what it is compressed in comes last of all."""
    source = file.fileobj
    if source is None:
        return
    source.seek(file.offset)
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{archive}: cut off, it has no end; download it again")
    while source.read(_COPY):
        pass


def _refuse_full(folder: Path, archive: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{archive}: its content needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "free space or choose another disk"
        )


def _write_all(
    archive: Path,
    folder: Path,
    contents: Iterator[tuple[str, bool, int, Callable[[], IO[bytes] | None]]],
    total: int,
    progress: Progress | None,
) -> None:
    done = 0
    for name, is_folder, size, opened in contents:
        target = folder / _inside(archive, name)
        if is_folder:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        source = opened()
        written = 0
        if source is not None:
            # "x": an archive that holds a file twice is not what it should be
            with source, target.open("xb") as file:
                while block := source.read(_COPY):
                    written += len(block)
                    # a lying header must not fill the disk
                    if written > size:
                        break
                    file.write(block)
                    if progress is not None:
                        progress(done + written, total)
        if written != size:
            raise DataError(f"{archive}: {name} is not of the size it should be; download it again")
        done += size


def _inside(archive: Path, name: str) -> PurePosixPath:
    """A member's path.

    Raises:
        DataError: it leads out of the folder.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    drive = path.parts and path.parts[0].endswith(":")
    if path.is_absolute() or ".." in path.parts or drive or "\0" in name:
        raise DataError(f"{archive}: {name!r} would lie outside the folder; refused")
    return path
